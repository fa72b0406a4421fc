//! Archives changed member by member, or in their headers.

use statedict_zip::{Archive, Writer};

use super::{Dice, mutate_bytes, mutate_pickle};
use crate::trial::written;

/// The longest member that is taken along.
const LONGEST: u64 = 4 << 20;

struct Member {
    name: String,
    bytes: Vec<u8>,
}

/// An archive with one change.
pub fn mutate_archive(file: &[u8], dice: &mut Dice) -> (Vec<u8>, &'static str) {
    let Some(mut members) = members(file) else { return (mutate_bytes(file, dice), "bytes") };
    let what = match dice.below(10) {
        0..=5 => {
            change_pickle(&mut members, dice);
            "opcodes of a member"
        }
        6 => {
            change_names(&mut members, dice);
            "names of members"
        }
        7 => {
            change_members(&mut members, dice);
            "members"
        }
        8 => return (change_records(file, dice), "headers"),
        _ => {
            let at = dice.below(members.len());
            if let Some(member) = members.get_mut(at) {
                member.bytes = mutate_bytes(&member.bytes, dice);
            }
            "bytes of a member"
        }
    };
    (joined(members), what)
}

fn members(file: &[u8]) -> Option<Vec<Member>> {
    let archive = Archive::open(&file).ok()??;
    let read = |entry: &statedict_zip::Entry| {
        let bytes = entry.read(&file, LONGEST).ok()?;
        Some(Member { name: entry.name().to_string(), bytes })
    };
    archive.entries().iter().map(read).collect()
}

fn joined(members: Vec<Member>) -> Vec<u8> {
    let is_npz = members.iter().all(|member| member.name.ends_with(".npy"));
    let mut writer = if is_npz { Writer::numpy() } else { Writer::torch(64) };
    for member in members {
        writer.bytes(&member.name, member.bytes);
    }
    written(&writer.finish(), &[])
}

fn change_pickle(members: &mut [Member], dice: &mut Dice) {
    let pickle = members.iter_mut().find(|member| member.name.ends_with(".pkl"));
    match pickle {
        Some(member) => mutate_pickle(&mut member.bytes, dice),
        None => {
            let at = dice.below(members.len());
            if let Some(member) = members.get_mut(at) {
                member.bytes = mutate_bytes(&member.bytes, dice);
            }
        }
    }
}

fn change_names(members: &mut [Member], dice: &mut Dice) {
    let at = dice.below(members.len());
    let other = dice.below(members.len());
    let Some(member) = members.get(at) else { return };
    let name = member.name.clone();
    members[at].name = match dice.below(6) {
        0 => name.to_uppercase(),
        1 => format!("other/{}", name.rsplit('/').next().unwrap_or_default()),
        2 => name.replace("data", "Data"),
        3 => format!("{name}0"),
        4 => members[other].name.clone(),
        _ => {
            members[at].name = members[other].name.clone();
            members[other].name = name;
            return;
        }
    };
}

fn change_members(members: &mut Vec<Member>, dice: &mut Dice) {
    let (at, other) = (dice.below(members.len()), dice.below(members.len()));
    let Some(member) = members.get(at) else { return };
    let copy = |name: String| Member { name, bytes: member.bytes.clone() };
    match dice.below(6) {
        0 => {
            members.remove(at);
        }
        1 => {
            let twin = copy(member.name.clone());
            members.insert(other, twin);
        }
        2 => {
            let upper = copy(member.name.to_uppercase());
            members.insert(other, upper);
        }
        3 => members.swap(at, other),
        4 => {
            let bytes = members[other].bytes.clone();
            members[at].bytes = bytes;
        }
        _ => {
            let root = member.name.split('/').next().unwrap_or_default().to_string();
            let (name, bytes): (&str, &[u8]) = [
                ("byteorder", &b"big"[..]),
                ("byteorder", b"little"),
                ("version", b"4\n"),
                (".format_version", b"1"),
                ("constants.pkl", b"\x80\x02).\n"),
                ("code/__torch__.py", b"op_version_set = 1\n"),
            ][dice.below(6)];
            members.insert(other, Member { name: format!("{root}/{name}"), bytes: bytes.to_vec() });
        }
    }
}

/// Changes a field of a header of a member, of the directory or of its end.
fn change_records(file: &[u8], dice: &mut Dice) -> Vec<u8> {
    const KINDS: [(&[u8], usize); 5] = [
        (b"PK\x03\x04", 30),
        (b"PK\x01\x02", 46),
        (b"PK\x05\x06", 22),
        (b"PK\x06\x06", 56),
        (b"PK\x06\x07", 20),
    ];
    let (signature, len) = KINDS[dice.below(KINDS.len())];
    let is_there = |at: &usize| file[*at..].starts_with(signature);
    let places: Vec<usize> = (0..file.len()).filter(is_there).collect();
    let mut mutant = file.to_vec();
    let Some(start) = dice.pick(&places) else { return mutant };
    let at = start + 4 + dice.below(len - 4);
    if let Some(byte) = mutant.get_mut(at) {
        *byte = match dice.below(4) {
            0 => 0,
            1 => 0xff,
            2 => byte.wrapping_add(1),
            _ => *byte ^ (1 << dice.below(8)),
        };
    }
    mutant
}
