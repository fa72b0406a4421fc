//! Pickles changed opcode by opcode.

use std::borrow::Cow;

use super::Dice;

/// What is put between or in the place of other opcodes.
const PIECES: [&[u8]; 86] = [
    b"(",
    b")",
    b"]",
    b"}",
    b"N",
    b"\x88",
    b"\x89",
    b"0",
    b"1",
    b"2",
    b".",
    b"a",
    b"e",
    b"s",
    b"u",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"R",
    b"b",
    b"\x81",
    b"Q",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x93",
    b"\x94",
    b"\x92",
    b"o",
    b"d",
    b"l",
    b"K\x00",
    b"K\x01",
    b"K\x02",
    b"K\x08",
    b"M\x01\x00",
    b"M\x00\x01",
    b"J\xff\xff\xff\xff",
    b"J\x02\0\0\0",
    b"G?\xf0\0\0\0\0\0\0",
    b"G\0\0\0\0\0\0\0\0",
    b"G\x7f\xf8\0\0\0\0\0\0",
    b"X\x01\0\0\0w",
    b"X\x01\0\0\x001",
    b"X\0\0\0\0",
    b"X\x03\0\0\0\xed\xa0\x80",
    b"U\x01w",
    b"U\x01\xff",
    b"X\x07\0\0\0storage",
    b"\x8c\x01w",
    b"\x8c\x05posix\x8c\x06system\x93",
    b"\x8a\x01\x05",
    b"\x8a\x00",
    b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00",
    b"q\x00",
    b"q\x01",
    b"h\x00",
    b"h\x01",
    b"h\x02",
    b"r\x01\0\0\0",
    b"j\x01\0\0\0",
    b"I1\n",
    b"I01\n",
    b"L1L\n",
    b"F1.0\n",
    b"S'w'\n",
    b"Vw\n",
    b"p1\n",
    b"g1\n",
    b"P0\n",
    b"C\x01w",
    b"B\x01\0\0\0w",
    b"T\x01\0\0\0w",
    b"\x82\x01",
    b"\x95\x01\0\0\0\0\0\0\0",
    b"\x80\x02",
    b"\x80\x04",
    b"(}",
    b"}s",
    b"]a",
    b")R",
    b")\x81",
    b"}b",
    b"Nb",
    b"N\x86",
];

/// What several opcodes make together, which single ones would take long to come to.
const PHRASES: [&[u8]; 24] = [
    b"K\x02\x85",
    b"K\x01K\x02\x86",
    b"K\x01K\x01K\x01\x87",
    b"X\x01\0\0\0aK\x01s",
    b"(X\x01\0\0\0aK\x01K\x02NX\x01\0\0\0bu",
    b"(K\x01K\x02e",
    b"q\x05h\x05",
    b"}q\x06h\x06s",
    b"ccollections\nOrderedDict\n)R",
    b"ccollections\nOrderedDict\n)\x81}b",
    b"ccollections\nOrderedDict\n]K\x01K\x02\x86a\x85R",
    b"ccollections\nCounter\n)\x81",
    b"ctorch\nSize\nK\x02\x85\x85R",
    b"ctorch\ndevice\nX\x03\0\0\0cpu\x85R",
    b"ctorch.serialization\n_get_layout\nX\x0d\0\0\0torch.strided\x85R",
    b"cbuiltins\nset\n]K\x01a\x85R",
    b"cbuiltins\nbytearray\nX\x01\0\0\0aX\x06\0\0\0latin1\x86R",
    b"c_codecs\nencode\nX\x01\0\0\0aX\x06\0\0\0latin1\x86R",
    b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ",
    b"(X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x001X\x03\0\0\0cpuK\x10tQ",
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000\
        X\x03\0\0\0cpuK\x02tQK\0K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR",
    b"ctorch._utils\n_rebuild_parameter\nh\x01\x88ccollections\nOrderedDict\n)R\x87R",
    b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor\nctorch\nTensor\n)}tR",
    b"cargparse\nNamespace\n)\x81}X\x01\0\0\0aK\x01sb",
];

/// What is imported in the place of other things.
const GLOBALS: [&str; 46] = [
    "collections OrderedDict",
    "collections Counter",
    "collections defaultdict",
    "collections deque",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch LongStorage",
    "torch ByteStorage",
    "torch BoolStorage",
    "torch ComplexFloatStorage",
    "torch QInt8Storage",
    "torch.storage UntypedStorage",
    "torch.storage TypedStorage",
    "torch float32",
    "torch int64",
    "torch bfloat16",
    "torch Size",
    "torch Tensor",
    "torch device",
    "torch.nn.parameter Parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state",
    "torch._utils _rebuild_qtensor",
    "torch._utils _rebuild_sparse_tensor",
    "torch._utils _rebuild_meta_tensor_no_storage",
    "torch._utils _rebuild_wrapper_subclass",
    "torch._utils _rebuild_device_tensor_from_numpy",
    "torch._utils _rebuild_device_tensor_from_cpu_tensor",
    "torch._tensor _rebuild_from_type_v2",
    "torch.serialization _get_layout",
    "torch per_tensor_affine",
    "_codecs encode",
    "builtins set",
    "builtins complex",
    "builtins bytearray",
    "__builtin__ set",
    "__builtin__ long",
    "argparse Namespace",
    "numpy dtype",
    "numpy.core.multiarray _reconstruct",
    "torch.nn.modules.linear Linear",
    "posix system",
    "my.module Class",
];

/// An opcode with its argument, or a few of them: of the pickle that is changed, or put into it.
type Piece<'p> = Cow<'p, [u8]>;

/// The opcodes of a pickle from its first byte on, and of those right behind it; what follows the
/// last that can be distinguished is the last piece.
fn opcodes(pickle: &[u8]) -> Vec<Piece<'_>> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    while let Some(len) = length(&pickle[at..]) {
        pieces.push(Cow::from(&pickle[at..at + len]));
        at += len;
        if pickle[at - len] == b'.' && pickle.get(at) != Some(&0x80) {
            break;
        }
    }
    pieces.push(Cow::from(&pickle[at..]));
    pieces
}

/// How long the opcode is that bytes begin with; none if they end in it, or begin with none.
fn length(bytes: &[u8]) -> Option<usize> {
    let line = |from: usize| {
        bytes.get(from..)?.iter().position(|byte| *byte == b'\n').map(|at| from + at + 1)
    };
    let wide = |width: usize| {
        let field = bytes.get(1..1 + width)?;
        let len = field.iter().rev().fold(0usize, |len, byte| len << 8 | usize::from(*byte));
        (1 + width).checked_add(len)
    };
    let len = match bytes.first()? {
        b'('
        | b'.'
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'R'
        | b'Q'
        | b'a'
        | b'b'
        | b'd'
        | b'e'
        | b'l'
        | b'o'
        | b's'
        | b't'
        | b'u'
        | b')'
        | b'}'
        | b']'
        | 0x81
        | 0x85..=0x89
        | 0x8f..=0x94
        | 0x97
        | 0x98 => Some(1),
        b'K' | b'h' | b'q' | 0x80 | 0x82 => Some(2),
        b'M' | 0x83 => Some(3),
        b'J' | b'j' | b'r' | 0x84 => Some(5),
        b'G' | 0x95 => Some(9),
        b'I' | b'L' | b'F' | b'S' | b'V' | b'P' | b'g' | b'p' => line(1),
        b'c' | b'i' => line(1).and_then(line),
        b'U' | b'C' | 0x8a | 0x8c => wide(1),
        b'X' | b'T' | b'B' | 0x8b => wide(4),
        0x8d | 0x8e | 0x96 => wide(8),
        _ => None,
    };
    len.filter(|len| *len <= bytes.len())
}

/// Changes one opcode or a few; the more, the less of a pickle is read at all.
pub fn mutate_pickle(pickle: &mut Vec<u8>, dice: &mut Dice) {
    let old = std::mem::take(pickle);
    let mut pieces = opcodes(&old);
    let tail = pieces.pop().unwrap_or_default();
    let count = [1, 1, 1, 1, 1, 2, 2, 3][dice.below(8)];
    for _ in 0..count {
        change(&mut pieces, dice);
    }
    for piece in pieces.iter().chain([&tail]) {
        pickle.extend_from_slice(piece);
    }
}

/// The first opcodes of one pickle and the last of another.
pub fn cross_pickles(front: &[u8], back: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (front, back) = (opcodes(front), opcodes(back));
    // Not the end of the first, behind which nothing is read.
    let (end, start) = (dice.below(front.len().saturating_sub(1)), dice.below(back.len()));
    [&front[..end], &back[start..]].concat().concat()
}

fn change(pieces: &mut Vec<Piece<'_>>, dice: &mut Dice) {
    let at = dice.below(pieces.len());
    if pieces.is_empty() {
        pieces.push(piece(dice));
        return;
    }
    match dice.below(12) {
        0 => {
            pieces.remove(at);
        }
        1 => pieces.insert(at, pieces[at].clone()),
        2 => {
            let other = dice.below(pieces.len());
            pieces.swap(at, other);
        }
        3 if at > 0 => pieces.swap(at - 1, at),
        4 => pieces[at] = piece(dice),
        5 => {
            let place = dice.below(pieces.len());
            let end = (at + 1 + dice.below(12)).min(pieces.len());
            let copy = pieces[at..end].to_vec();
            pieces.splice(place..place, copy);
        }
        6 => change_kind(pieces, dice, |piece| matches!(piece.first(), Some(b'c'))),
        7 => change_kind(pieces, dice, |piece| {
            matches!(piece.first(), Some(b'h' | b'j' | b'q' | b'r'))
        }),
        8 => change_kind(pieces, dice, |piece| matches!(piece.first(), Some(b'K' | b'M' | b'J'))),
        9 => change_kind(pieces, dice, |piece| matches!(piece.first(), Some(b'X' | b'U' | 0x8c))),
        10 => {
            let end = (at + 1 + dice.below(6)).min(pieces.len());
            pieces.drain(at..end);
        }
        _ => pieces.insert(at, piece(dice)),
    }
}

/// A piece that is put somewhere.
fn piece(dice: &mut Dice) -> Piece<'static> {
    let pieces: &[&'static [u8]] = match dice.below(8) {
        0 => return global(dice),
        1 | 2 => &PHRASES,
        _ => &PIECES,
    };
    Cow::from(*dice.pick(pieces).expect("there are pieces"))
}

fn global(dice: &mut Dice) -> Piece<'static> {
    let name = dice.pick(&GLOBALS).expect("there are globals");
    Cow::from(format!("c{}\n", name.replace(' ', "\n")).into_bytes())
}

/// Changes the argument of one opcode of a kind.
fn change_kind(pieces: &mut [Piece<'_>], dice: &mut Dice, is_kind: fn(&[u8]) -> bool) {
    let places: Vec<usize> = (0..pieces.len()).filter(|at| is_kind(&pieces[*at])).collect();
    let Some(&at) = dice.pick(&places) else { return };
    let other = dice.pick(&places).map_or(at, |other| *other);
    if dice.below(3) == 0 {
        pieces[at] = pieces[other].clone();
        return;
    }
    match pieces[at].first() {
        Some(b'c') => pieces[at] = global(dice),
        Some(b'X' | b'U' | 0x8c) if dice.below(2) == 0 => {
            // One byte of the text, not of its length.
            let head = if pieces[at][0] == b'X' { 5 } else { 2 };
            let place = head + dice.below(pieces[at].len().saturating_sub(head));
            if let Some(byte) = pieces[at].to_mut().get_mut(place) {
                *byte ^= 1 << dice.below(8);
            }
        }
        _ => {
            let place = 1 + dice.below(pieces[at].len() - 1);
            let limit = if dice.below(4) == 0 { 256 } else { 9 };
            let value = dice.below(limit);
            pieces[at].to_mut()[place] = value as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_together_are_the_pickle() {
        let pickle =
            b"\x80\x02}q\x00X\x01\0\0\0aK\x01sccollections\nOrderedDict\n)R0.\x80\x02N.rest";
        let pieces = opcodes(pickle);
        assert_eq!(pieces.concat(), pickle);
        assert_eq!((pieces.len(), pieces.last().map(|last| &**last)), (15, Some(&b"rest"[..])));
    }

    #[test]
    fn pieces_and_phrases_are_whole_opcodes() {
        for phrase in PIECES.iter().chain(&PHRASES).filter(|phrase| ***phrase != b"."[..]) {
            let pieces = opcodes(phrase);
            assert_eq!(pieces.last().map(|last| last.len()), Some(0), "{}", phrase.escape_ascii());
        }
    }

    #[test]
    fn crossed_pickles_begin_as_one_and_end_as_the_other() {
        let cross = |seed| cross_pickles(b"NNNN.", b"]]]].", &mut Dice::new(seed));
        for crossed in (0..20).map(cross) {
            let end = crossed.iter().take_while(|byte| **byte == b'N').count();
            assert!(b"]]]].".ends_with(&crossed[end..]), "{}", crossed.escape_ascii());
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_change() {
        let change = |seed: u64| {
            let mut pickle = b"\x80\x02}X\x01\0\0\0aK\x01s.".to_vec();
            mutate_pickle(&mut pickle, &mut Dice::new(seed));
            pickle
        };
        assert_eq!(change(7), change(7));
        assert!((0..20).any(|seed| change(seed) != change(seed + 1)));
    }
}
