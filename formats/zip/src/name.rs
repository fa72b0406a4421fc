//! Names of members: UTF-8 where the entry says so, code page 437 where it does not.

/// The upper half of code page 437, as Python's `cp437` codec decodes it.
const CODE_PAGE_437: &str = "\
    ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The name in UTF-8; `None` if the bytes are not what the flag says.
pub(crate) fn decode(raw: &[u8], is_utf8: bool) -> Option<String> {
    if is_utf8 {
        return std::str::from_utf8(raw).ok().map(str::to_string);
    }
    if raw.is_ascii() {
        return std::str::from_utf8(raw).ok().map(str::to_string);
    }
    let upper: Vec<char> = CODE_PAGE_437.chars().collect();
    raw.iter()
        .map(|byte| match byte.checked_sub(0x80) {
            None => Some(char::from(*byte)),
            Some(index) => upper.get(usize::from(index)).copied(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8], is_utf8: bool, expected: Option<&str>) {
        assert_eq!(decode(raw, is_utf8).as_deref(), expected);
    }

    #[test]
    fn the_flag_decides_the_encoding() {
        check(b"a/b", false, Some("a/b"));
        check("é".as_bytes(), true, Some("é"));
        check("é".as_bytes(), false, Some("├⌐"));
        check(b"\x82\xFF", false, Some("é\u{a0}"));
        check(b"\xFF", true, None);
    }

    #[test]
    fn code_page_437_has_a_character_for_every_byte() {
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
    }
}
