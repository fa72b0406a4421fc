//! Saves of several ranks of tensor parallelism, joined or refused.

mod saved;

use std::collections::BTreeMap;

use saved::{Memory, Value, dict, tensor};
use statedict_core::{Cut, Depth, Fault, Incomplete, Opening, Template, Which};

const INFO: &str = "universal_checkpoint_info";

fn file(rank: u64) -> String {
    format!("mp_rank_{rank:02}_model_states.pt")
}

/// The model states of one of two ranks, with these tensors.
fn model(tensors: &[(&str, Value)]) -> Value {
    let none: [&str; 0] = [];
    dict([
        ("module", dict(tensors.iter().map(|(key, value)| (*key, value.clone())))),
        ("buffer_names", none.into()),
        ("mp_world_size", 2.into()),
        ("dp_world_size", 1.into()),
        ("global_steps", 5.into()),
    ])
}

/// A save without ZeRO of two ranks that have these shares of one tensor, and what it says of it.
fn of_shares(key: &str, shares: [Value; 2], info: Option<Value>) -> Memory {
    let mut rank = 0;
    Memory::of(shares.map(|share| {
        let states = model(&[(key, share)]);
        let states = match &info {
            Some(info) => states.with(INFO, info.clone()),
            None => states,
        };
        rank += 1;
        (file(rank - 1), states)
    }))
}

fn cut(pattern: &str, dimension: usize) -> Opening {
    let pattern = Template::parse(pattern, '.').expect("a template");
    Opening { cuts: vec![Cut { pattern, dimension }], ..Opening::default() }
}

fn whole_with(memory: &Memory, opening: &Opening) -> BTreeMap<String, (Vec<u64>, Vec<i32>)> {
    let folder = memory.opened(opening).unwrap_or_else(|fault| panic!("{fault}"));
    memory.tensors(folder.as_ref())
}

fn whole(memory: &Memory) -> BTreeMap<String, (Vec<u64>, Vec<i32>)> {
    whole_with(memory, &Opening::default())
}

/// The fault of opening it, which has these words.
fn refused_with(memory: &Memory, opening: &Opening, words: &str) -> Fault {
    let fault = memory.opened(opening).err().unwrap_or_else(|| panic!("'{words}' is not said"));
    assert!(fault.to_string().contains(words), "{fault}\nand not\n{words}");
    fault
}

fn refused(memory: &Memory, words: &str) -> Fault {
    refused_with(memory, &Opening::default(), words)
}

/// The only tensor of a save of two shares.
fn one(shares: [Value; 2], info: Value) -> (Vec<u64>, Vec<i32>) {
    whole(&of_shares("w", shares, Some(info))).remove("w").expect("there")
}

fn info<V: Into<Value>>(key: &str, value: V) -> Value {
    dict([("universal_checkpoint_version", Value::Float(0.4)), (key, value.into())])
}

/// Two shares of two rows and two columns.
fn squares() -> [Value; 2] {
    [tensor(&[2, 2], &[0, 1, 2, 3]), tensor(&[2, 2], &[10, 11, 12, 13])]
}

#[test]
fn lists_of_patterns_say_how_a_tensor_was_cut() {
    let rows = vec![0, 1, 2, 3, 10, 11, 12, 13];
    // What DeepSpeed has no word for is cut along the first dimension.
    assert_eq!(one(squares(), info("none", 0)), (vec![4, 2], rows));
    let columns = vec![0, 1, 10, 11, 2, 3, 12, 13];
    let row_parallel = "parameter_with_row_parallelism_patterns";
    assert_eq!(one(squares(), info(row_parallel, ["^w$"])), (vec![2, 4], columns.clone()));
    assert_eq!(one(squares(), info(row_parallel, [r"\w"])), (vec![2, 4], columns));
    let halves = info("parameter_with_2_sub_params_cat_dim_0", ["w"]);
    assert_eq!(one(squares(), halves), (vec![4, 2], vec![0, 1, 10, 11, 2, 3, 12, 13]));
    let copies = || [tensor(&[2], &[7, 8]), tensor(&[2], &[7, 8])];
    for list in ["tp_replicated_parameter_patterns", "parameter_to_average_patterns"] {
        assert_eq!(one(copies(), info(list, ["^w$"])), (vec![2], vec![7, 8]));
        let other = of_shares("w", squares(), Some(info(list, ["^w$"])));
        let words = "'mp_rank_01_model_states.pt': 'w' is not the same as in \
                     'mp_rank_00_model_states.pt', and the save says";
        refused(&other, words);
        // A listing reads no elements.
        let listing = Opening { depth: Depth::Listing, ..Opening::default() };
        assert!(other.opened(&listing).is_ok());
    }
}

#[test]
fn padding_of_a_vocabulary_is_cut_off() {
    let said = |rows: i64| {
        info("vocabulary_parameter_patterns", ["^w$"]).with("original_vocab_size", rows)
    };
    assert_eq!(one(squares(), said(3)), (vec![3, 2], vec![0, 1, 2, 3, 10, 11]));
    assert_eq!(one(squares(), said(4)).0, [4, 2]);
    refused(&of_shares("w", squares(), Some(said(5))), "fewer rows than original_vocab_size");
    // The user says how it was cut, and gets all of it.
    let memory = of_shares("w", squares(), Some(said(3)));
    assert_eq!(whole_with(&memory, &cut("w", 0))["w"].0, [4, 2]);
}

#[test]
fn several_parameters_in_one_are_each_joined() {
    let shares = || [tensor(&[3], &[0, 1, 2]), tensor(&[3], &[10, 11, 12])];
    let said = |shape: Value, widths: Option<[[i64; 2]; 2]>, version: f64| {
        let parts =
            dict([("patterns", ["^w$"].into()), ("shape", shape), ("partition_dim", 0.into())]);
        let info = info("parameter_with_sub_params", [parts]);
        let info = info.with("universal_checkpoint_version", version);
        match widths {
            Some(widths) => info.with("sub_param_shard_widths", dict([("^w$", widths.to_vec())])),
            None => info,
        }
    };
    let sizes = |sizes: [i64; 2]| Value::from(vec![Value::from(sizes)]);
    let found = one(shares(), said(sizes([4, 2]), Some([[2, 2], [1, 1]]), 0.4));
    assert_eq!(found, (vec![6], vec![0, 1, 10, 11, 2, 12]));
    let found = one(shares(), said(sizes([3, 3]), Some([[1, 2], [2, 1]]), 0.4));
    assert_eq!(found, (vec![6], vec![0, 10, 11, 1, 2, 12]));
    let found = one(shares(), said(sizes([4, 2]), None, 0.3));
    assert_eq!(found, (vec![6], vec![0, 1, 10, 11, 2, 12]));
    // Three alike, seen as three rows of what the tensor has as one.
    let count = Value::from([3, -1]);
    let fused = [tensor(&[3, 1], &[0, 1, 2]), tensor(&[3, 1], &[10, 11, 12])];
    assert_eq!(one(fused, said(count.clone(), None, 0.3)), (vec![6, 1], vec![0, 10, 1, 11, 2, 12]));

    let check = |info: Value, words: &str| refused(&of_shares("w", shares(), Some(info)), words);
    check(said(sizes([4, 2]), None, 0.4), "no sub_param_shard_widths are written down");
    check(said(sizes([3, 3]), None, 0.3), "a sub-parameter of 3 is not cut evenly over 2 ranks");
    check(said(sizes([4, 2]), Some([[2, 2], [2, 2]]), 0.4), "its sub-parameters have [4, 2]");
    check(said(sizes([4, 4]), Some([[2, 2], [2, 2]]), 0.4), "6 elements are not of the shape");
    check(said(count, None, 0.4), "the sizes of its sub-parameters are not written down");
    check(said([i64::MAX].into(), None, 0.3), "are not 9223372036854775807 sub-parameters");
    let huge = sizes([i64::MAX, i64::MAX]);
    check(said(huge, None, 0.3), "is not cut evenly");
}

/// A piece of one dimension, as DeepSpeed draws it.
fn piece(size: i64, source: i64, dest: i64, ranks: &[i64]) -> Value {
    let place = |offset: i64| Value::from(vec![Value::Int(offset), Value::from([1])]);
    dict([
        ("shape", Value::from([size])),
        ("source", place(source)),
        ("dest", place(dest)),
        ("locations", ranks.to_vec().into()),
    ])
}

/// A map of a vector of the length `whole`, of ranks with the lengths of their shares.
fn map<const N: usize>(whole: i64, ranks: [(i64, Vec<Value>); N]) -> Value {
    let ranks = ranks.into_iter().enumerate().map(|(rank, (len, pieces))| {
        let of_rank = dict([("shard_shape", Value::from([len])), ("pieces", pieces.into())]);
        (Value::Int(rank as i64), of_rank)
    });
    let map =
        dict([("logical_shape", Value::from([whole])), ("ranks", Value::Dict(ranks.collect()))]);
    let maps = dict([("version", 1.into()), ("params", dict([("^w$", map)]))]);
    // The list is for those who read no maps, and would be wrong.
    info("affine_map", maps).with("parameter_with_row_parallelism_patterns", ["^w$"])
}

#[test]
fn a_map_says_where_each_piece_is() {
    let shares = |second: &[i32]| [tensor(&[3], &[0, 1, 8]), tensor(&[3], second)];
    let drawn = |whole| {
        let first = (3, vec![piece(1, 2, 0, &[0]), piece(1, 0, 1, &[0]), piece(1, 4, 2, &[0, 1])]);
        let second = (3, vec![piece(1, 1, 0, &[1]), piece(1, 3, 1, &[1]), piece(1, 4, 2, &[0, 1])]);
        map(whole, [first, second])
    };
    let found = one(shares(&[10, 11, 8]), drawn(5));
    assert_eq!(found, (vec![5], vec![1, 10, 0, 11, 8]));
    let other = of_shares("w", shares(&[10, 11, 9]), Some(drawn(5)));
    refused(&other, "'w' is not the same as in 'mp_rank_00_model_states.pt', and the save says");
    refused(&of_shares("w", shares(&[10, 11, 8]), Some(drawn(6))), "5 of 6 elements are there");
    refused(&of_shares("w", shares(&[10, 11, 8]), Some(drawn(4))), "a piece is no box of [4]");
}

#[test]
fn a_map_that_cannot_be_followed_is_refused() {
    let shares = || [tensor(&[1], &[3]), tensor(&[1], &[4])];
    let halves = |first: Value| map(2, [(1, vec![first]), (1, vec![piece(1, 1, 0, &[1])])]);
    assert_eq!(one(shares(), halves(piece(1, 0, 0, &[0]))), (vec![2], vec![3, 4]));
    let check = |info: Value, words: &str| refused(&of_shares("w", shares(), Some(info)), words);
    check(halves(piece(1, 0, 0, &[0]).with("scale", 0.5)), "is multiplied by a constant");
    check(halves(piece(1, 1, 0, &[0])), "");
    check(halves(piece(1, i64::MAX, 0, &[0])), "a piece is no box");
    check(halves(piece(1, -1, 0, &[0])), "is not a place with strides");
    check(halves(piece(i64::MAX, 0, 0, &[0])), "a piece is no box");
    check(halves(dict([("shape", [1])])), "the source of a piece");
    check(halves(piece(1, 0, 0, &[0]).with("shape", [1, 1])), "a piece is no box");
    let one_rank = map(2, [(1, vec![piece(1, 0, 0, &[0])])]);
    check(one_rank, "its map is of 1 ranks, and there are 2");
    let longer = map(3, [(2, vec![piece(2, 0, 0, &[0])]), (1, vec![piece(1, 2, 0, &[1])])]);
    check(longer, "it is [2] there, and here [1]");
    let newer = info("affine_map", dict([("version", 2)]));
    check(newer, "its affine_map is of version 2, and 1 is the newest read");
    // One that was drawn when ZeRO had taken the elements says nothing; the lists do.
    let copies = || [tensor(&[1], &[3]), tensor(&[1], &[3])];
    let empty = map(0, [(0, vec![piece(0, 0, 0, &[0, 1])]), (0, vec![piece(0, 0, 0, &[0, 1])])]);
    let empty = empty
        .with("parameter_with_row_parallelism_patterns", Vec::<i64>::new())
        .with("tp_replicated_parameter_patterns", ["^w$"]);
    assert_eq!(one(copies(), empty), (vec![1], vec![3]));
}

#[test]
fn the_user_knows_better_than_the_save() {
    let unsupported = "autotp_unsupported_parameter_patterns";
    let said = info(unsupported, dict([("^w$", "its heads are interleaved")]));
    let memory = of_shares("w", squares(), Some(said));
    let fault = refused(&memory, "'w' cannot be joined, it says: its heads are interleaved");
    assert!(matches!(fault, Fault::InFile { fault, .. }
        if matches!(&*fault, Fault::Uncut { key, .. } if key == "w")));
    assert_eq!(whole_with(&memory, &cut("*", 1))["w"].0, [2, 4]);
    refused_with(&memory, &cut("w", 2), "'w': it was cut along dimension 2, and has 2");
}

#[test]
fn patterns_that_are_not_read_are_refused() {
    let row_parallel = "parameter_with_row_parallelism_patterns";
    let check = |patterns: Value, words: &str| {
        refused(&of_shares("w", squares(), Some(info(row_parallel, patterns))), words)
    };
    check(["(w"].into(), "its pattern '(w' is not read: unclosed group");
    check(["(?!v)w"].into(), "its pattern '(?!v)w' is not read: look-around");
    check(["w{1000000000}"].into(), "is not read");
    check([format!("w|{}", "v".repeat(5000)).as_str()].into(), "is a pattern too many");
    check(["w.*", "w?w"].into(), "several of its patterns match 'w'");
    let many: Vec<String> = (0..300).map(|number| format!("w{number}?")).collect();
    check(many.iter().map(String::as_str).collect::<Vec<_>>().into(), "is a pattern too many");
}

#[test]
fn layers_of_known_models_are_joined_where_nothing_is_written_down() {
    let columns = (vec![2, 4], vec![0, 1, 10, 11, 2, 3, 12, 13]);
    let down = "model.layers.0.mlp.down_proj.weight";
    assert_eq!(whole(&of_shares(down, squares(), None))[down], columns);
    let query = "model.layers.0.self_attn.q_proj.weight";
    assert_eq!(whole(&of_shares(query, squares(), None))[query].0, [4, 2]);
    // Nothing says that these were cut, since all ranks have the same.
    let [same, _] = squares();
    let memory = of_shares(query, [same.clone(), same], None);
    refused(&memory, "is the same in all ranks, and tensors of such names are cut");
    assert_eq!(whole_with(&memory, &cut("**.q_proj.weight", 0))[query].0, [4, 2]);
    // In this family heads are dealt out in another order.
    let states = |share: Value| model(&[("layers.0.lf_gate.w", tensor(&[], &[1])), (query, share)]);
    let [first, second] = squares();
    let memory = Memory::of([(file(0), states(first)), (file(1), states(second))]);
    refused(&memory, "no rule says along which dimension it was cut");
}

#[test]
fn what_nobody_knows_has_to_be_the_same_in_all_ranks() {
    let norm = || tensor(&[2], &[1, 2]);
    assert_eq!(whole(&of_shares("odd.weight", [norm(), norm()], None))["odd.weight"].1, [1, 2]);
    let memory = of_shares("odd.weight", squares(), None);
    let fault = refused(
        &memory,
        "'mp_rank_01_model_states.pt': 'odd.weight' is not the same as in \
         'mp_rank_00_model_states.pt', and no rule says along which dimension it was cut",
    );
    assert!(matches!(fault, Fault::InFile { fault, .. }
        if matches!(&*fault, Fault::Uncut { key, .. } if key == "odd.weight")));
    assert_eq!(whole_with(&memory, &cut("odd.*", 1))["odd.weight"].0, [2, 4]);
    // Buffers are in no list of parameters.
    let [first, second] = squares();
    let states =
        |share| model(&[("w", share)]).with("buffer_names", ["w"]).with(INFO, info("none", 0));
    let memory = Memory::of([(file(0), states(first)), (file(1), states(second))]);
    refused(&memory, "'w' is not the same as in");
}

#[test]
fn shares_that_do_not_fit_are_refused() {
    let [first, second] = squares();
    let Value::Tensor { bytes, shape, .. } = second.clone() else { panic!("a tensor") };
    let other = Value::Tensor { class: "IntStorage", bytes, shape };
    let memory = of_shares("w", [first.clone(), other], Some(info("none", 0)));
    refused(&memory, "'w': it is F32 in one rank and I32 in another");
    let memory = of_shares("w", [first.clone(), tensor(&[2, 3], &[0; 6])], Some(info("none", 0)));
    refused(&memory, "[2, 2] and [2, 3] cannot be joined along dimension 0");
    let memory = Memory::of([(file(0), model(&[("w", first.clone())])), (file(1), model(&[]))]);
    refused(&memory, "'mp_rank_01_model_states.pt': it has no tensor 'w'");
    let memory = Memory::of([(file(0), model(&[])), (file(1), model(&[("w", first)]))]);
    refused(&memory, "it has a tensor 'w', and 'mp_rank_00_model_states.pt' has none");
}

#[test]
fn ranks_of_another_save_are_refused() {
    let with = |key: &str, first: i64, second: i64| {
        let states = |number: i64| model(&[]).with(key, number);
        Memory::of([(file(0), states(first)), (file(1), states(second))])
    };
    refused(&with("global_steps", 5, 6), "its global_steps is 6, and not 5");
    refused(&with("mp_world_size", 2, 4), "its mp_world_size is 4, and not 2");
    refused(&with("mp_world_size", 1, 1), "which is of 1 ranks of tensor parallelism");
    refused(&with("mp_world_size", i64::MAX, i64::MAX), "it says that there were");
}

#[test]
fn a_rank_that_is_missing_is_named_with_what_it_takes() {
    let said = info("tp_replicated_parameter_patterns", ["^norm$"]);
    let states = |share: Value| {
        model(&[("norm", tensor(&[4], &[1, 2, 3, 4])), ("w", share)]).with(INFO, said.clone())
    };
    let save = || {
        Memory::of(
            squares()
                .map(states)
                .into_iter()
                .enumerate()
                .map(|(rank, states)| (file(rank as u64), states)),
        )
    };
    assert_eq!(whole(&save())["w"].0, [4, 2]);
    let memory = save().without(&file(1));
    let words = "'mp_rank_01_model_states.pt' is missing: 1 of 2 tensors incomplete, 33.3 % of the \
                 elements lost";
    refused(&memory, words);
    let partial = Opening { incomplete: Incomplete::LeftOut, ..Opening::default() };
    let folder = memory.opened(&partial).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(memory.tensors(folder.as_ref()).into_keys().collect::<Vec<_>>(), ["norm"]);
    let left: Vec<&str> = folder.left_out().iter().map(|it| it.path.as_str()).collect();
    assert_eq!(left, ["w"]);
    // Without the first nobody knows which parameters are shared.
    let words =
        "'mp_rank_00_model_states.pt': is missing, and alone says which parameters are shared";
    refused(&save().without(&file(0)), words);
}

#[test]
fn many_ranks_that_are_said_and_not_there_take_no_memory() {
    let states = model(&[("w", tensor(&[1], &[1]))]).with("mp_world_size", 1 << 20);
    refused(&Memory::of([(file(0), states)]), "'mp_rank_01_model_states.pt' is missing");
}

/// A save of ZeRO 2 of two ranks, each of two ranks of data: `w` is cut along the second dimension,
/// `norm` copied, and `tied` is `w`. The partitions of the ranks end at different places.
fn zero2() -> Memory {
    let said = info("parameter_with_row_parallelism_patterns", ["^w$"])
        .with("tp_replicated_parameter_patterns", ["^norm$"]);
    let mut files = Vec::new();
    for (rank, numbers) in [[0, 1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15]].into_iter().enumerate() {
        // The second rank has a column less.
        let columns = 3 - rank as u64;
        let count = usize::try_from(2 * columns).expect("few");
        let shapes = dict([
            ("w", Value::from([2, columns as i64])),
            ("norm", Value::from([3])),
            ("late", Value::from([1])),
        ]);
        let w = tensor(&[2, columns], &[9; 6][..count]);
        let module = [
            ("w", w.clone()),
            ("tied", w),
            ("norm", tensor(&[3], &[9; 3])),
            ("late", tensor(&[1], &[9])),
        ];
        let shared = if rank == 0 { vec![("tied", "w")] } else { Vec::new() };
        let states = model(&module)
            .with("param_shapes", [shapes])
            .with("shared_params", dict(shared))
            .with("dp_world_size", 2)
            .with(
                INFO,
                said.clone().with("tp_replicated_parameter_patterns", ["^norm$", "^late$"]),
            );
        files.push((file(rank as u64), states));
        let flat = |factor: i32| -> Vec<i32> {
            let norm = [21, 22, 23, 24].map(|it| it * factor);
            numbers[..count].iter().map(|it| it * factor).chain(norm).collect()
        };
        for data in 0..2 {
            // Both partitions are alike in length, the last is filled up.
            let part = |factor: i32| {
                let mut flat = flat(factor);
                flat.resize(10, 0);
                let each = flat.len() / 2;
                tensor(&[each as u64], &flat[data * each..(data + 1) * each])
            };
            let group = dict([("exp_avg", part(2)), ("exp_avg_sq", part(3))]);
            let state = dict([("state", Value::Dict([(Value::Int(0), group)].into()))]);
            let optimizer = dict([
                ("partition_count", Value::from([2])),
                ("single_partition_of_fp32_groups", [part(1)].into()),
                ("base_optimizer_state", state),
            ]);
            let name = format!("zero_pp_rank_{data}_mp_rank_{rank:02}_optim_states.pt");
            files.push((name, dict([("optimizer_state_dict", optimizer)])));
        }
    }
    Memory::of(files)
}

#[test]
fn partitions_of_each_rank_are_put_together_before_the_ranks_are_joined() {
    let found = whole(&zero2());
    let w = |factor: i32| {
        let numbers = [0, 1, 2, 10, 11, 3, 4, 5, 12, 13].map(|it| it * factor);
        (vec![2, 5], numbers.to_vec())
    };
    assert_eq!(found["w"], w(1));
    assert_eq!(found["tied"], w(1));
    assert_eq!(found["norm"], (vec![3], vec![21, 22, 23]));
    assert_eq!(found["optimizer/w/exp_avg"], w(2));
    assert_eq!(found["optimizer/norm/exp_avg_sq"].1, [63, 66, 69]);
    let module = Opening { which: Which::Module, ..Opening::default() };
    let found = whole_with(&zero2(), &module);
    assert_eq!(found["w"], (vec![2, 5], vec![9; 10]));
    assert_eq!(found["tied"], (vec![2, 5], vec![9; 10]));
}

#[test]
fn optimizer_states_of_a_rank_that_are_missing_are_named() {
    // It has no more than copies of what the first rank has.
    let spare = "zero_pp_rank_1_mp_rank_01_optim_states.pt";
    assert_eq!(whole(&zero2().without(spare)), whole(&zero2()));
    let gone = "zero_pp_rank_0_mp_rank_01_optim_states.pt";
    let partial = Opening { incomplete: Incomplete::LeftOut, ..Opening::default() };
    for memory in [zero2().without(gone), zero2().without(gone).without(spare)] {
        refused(&memory, &format!("'{gone}' is missing: "));
        let found = whole_with(&memory, &partial);
        assert_eq!(found["norm"].1, [21, 22, 23]);
        assert!(found.contains_key("late") && !found.contains_key("w"));
    }
    let memory = zero2().without(&file(1)).without(gone).without(spare);
    refused(&memory, "'mp_rank_01_model_states.pt' is missing: ");
}

#[test]
fn a_rank_may_have_nothing_of_a_tensor() {
    let said = info("none", 0);
    let states = |share: Value| model(&[("w", share)]).with(INFO, said.clone());
    let empty = Value::Tensor { class: "BFloat16Storage", shape: vec![0, 2], bytes: Vec::new() };
    let full = tensor(&[2, 2], &[1, 2, 3, 4]);
    let memory = Memory::of([(file(0), states(full)), (file(1), states(empty))]);
    assert_eq!(whole(&memory)["w"], (vec![2, 2], vec![1, 2, 3, 4]));
}

#[test]
fn parameters_of_a_universal_folder_are_whole_already() {
    let said = info("none", 0);
    let save = |w: Value| {
        let states = |rank: i32| {
            let share = |first: i32| tensor(&[1, 2], &[first + 10 * rank, first + 1 + 10 * rank]);
            let tensors = [("w", share(0)), ("frozen", share(5)), ("buffer", tensor(&[1], &[7]))];
            let shapes = dict([("w", Value::from([1, 2]))]);
            model(&tensors)
                .with("buffer_names", ["buffer"])
                .with("param_shapes", [shapes])
                .with(INFO, said.clone())
        };
        // DeepSpeed writes what the first rank has of a parameter that was not trained.
        let frozen = dict([("param", tensor(&[1, 2], &[5, 6]))]);
        let whole = dict([("param", w)]);
        Memory::of([
            (file(0), states(0)),
            (file(1), states(1)),
            ("zero/w/fp32.pt".into(), whole.clone()),
            ("zero/w/exp_avg.pt".into(), whole),
            ("zero/frozen/fp32.pt".into(), frozen),
        ])
    };
    let found = whole(&save(tensor(&[2, 2], &[0, 1, 10, 11])));
    assert_eq!(found["w"], (vec![2, 2], vec![0, 1, 10, 11]));
    assert_eq!(found["optimizer/w/exp_avg"].0, [2, 2]);
    assert_eq!(found["frozen"], (vec![2, 2], vec![5, 6, 15, 16]));
    assert_eq!(found["buffer"], (vec![1], vec![7]));
    let words = "'zero/w/fp32.pt': it has no more than a rank's share";
    refused(&save(tensor(&[1, 2], &[0, 1])), words);
}
