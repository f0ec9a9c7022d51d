//! What a character stands for: case, diacritics, styled letters, lookalikes, hidden characters.

/// Base letters of U+00C0 to U+017F in their order; `?` has none.
const LATIN_1_AND_A: &[u8; 192] =
    b"aaaaaaaceeeeiiiidnooooo?ouuuuypsaaaaaaaceeeeiiiidnooooo?ouuuuypy\
    aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrr\
    ssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
/// Base letters of U+0180 to U+024F.
const LATIN_B: &[u8; 208] = b"????????????????????????????????oo?????????????uu???????????????????\
    dddlllnnnaaiioouuuuuuuuuu?aaaa????ggkkoooo??jdddgg??nnaa????aaaaeeeeiiiioooorrrruuuusstt??hh\
    ??????aaeeooooooooyy????????????????????????????";
/// Base letters of U+1E00 to U+1EFF.
const LATIN_ADDITIONAL: &[u8; 256] =
    b"aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm\
    mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyas\
    ??s?aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy\
    ??????";

/// Letters in another style of Latin that are not in a regular block, ascending.
const STYLED: &[(char, char)] = &[
    ('\u{aa}', 'a'),
    ('\u{b2}', '2'),
    ('\u{b3}', '3'),
    ('\u{b9}', '1'),
    ('\u{ba}', 'o'),
    ('\u{251}', 'a'),
    ('\u{261}', 'g'),
    ('\u{262}', 'g'),
    ('\u{268}', 'i'),
    ('\u{26a}', 'i'),
    ('\u{274}', 'n'),
    ('\u{275}', 'o'),
    ('\u{280}', 'r'),
    ('\u{28b}', 'v'),
    ('\u{28f}', 'y'),
    ('\u{299}', 'b'),
    ('\u{29c}', 'h'),
    ('\u{29f}', 'l'),
    ('\u{1d00}', 'a'),
    ('\u{1d04}', 'c'),
    ('\u{1d05}', 'd'),
    ('\u{1d07}', 'e'),
    ('\u{1d0a}', 'j'),
    ('\u{1d0b}', 'k'),
    ('\u{1d0d}', 'm'),
    ('\u{1d0f}', 'o'),
    ('\u{1d18}', 'p'),
    ('\u{1d1b}', 't'),
    ('\u{1d1c}', 'u'),
    ('\u{1d20}', 'v'),
    ('\u{1d21}', 'w'),
    ('\u{1d22}', 'z'),
    ('\u{2070}', '0'),
    ('\u{2071}', 'i'),
    ('\u{207f}', 'n'),
    ('\u{2102}', 'c'),
    ('\u{210a}', 'g'),
    ('\u{210b}', 'h'),
    ('\u{210c}', 'h'),
    ('\u{210d}', 'h'),
    ('\u{210e}', 'h'),
    ('\u{2110}', 'i'),
    ('\u{2111}', 'i'),
    ('\u{2112}', 'l'),
    ('\u{2113}', 'l'),
    ('\u{2115}', 'n'),
    ('\u{2119}', 'p'),
    ('\u{211a}', 'q'),
    ('\u{211b}', 'r'),
    ('\u{211c}', 'r'),
    ('\u{211d}', 'r'),
    ('\u{2124}', 'z'),
    ('\u{2128}', 'z'),
    ('\u{212c}', 'b'),
    ('\u{212d}', 'c'),
    ('\u{212f}', 'e'),
    ('\u{2130}', 'e'),
    ('\u{2131}', 'f'),
    ('\u{2133}', 'm'),
    ('\u{2134}', 'o'),
    ('\u{2139}', 'i'),
    ('\u{24ea}', '0'),
    ('\u{a730}', 'f'),
    ('\u{a731}', 's'),
];

/// Letters of other scripts that look like a Latin one, ascending.
const LOOKALIKES: &[(char, char)] = &[
    // Greek.
    ('\u{3ac}', 'a'),
    ('\u{3ad}', 'e'),
    ('\u{3ae}', 'n'),
    ('\u{3af}', 'i'),
    ('\u{3b1}', 'a'),
    ('\u{3b2}', 'b'),
    ('\u{3b3}', 'y'),
    ('\u{3b5}', 'e'),
    ('\u{3b6}', 'z'),
    ('\u{3b7}', 'n'),
    ('\u{3b9}', 'i'),
    ('\u{3ba}', 'k'),
    ('\u{3bc}', 'm'),
    ('\u{3bd}', 'v'),
    ('\u{3bf}', 'o'),
    ('\u{3c1}', 'p'),
    ('\u{3c4}', 't'),
    ('\u{3c5}', 'u'),
    ('\u{3c7}', 'x'),
    ('\u{3c9}', 'w'),
    ('\u{3cc}', 'o'),
    ('\u{3cd}', 'u'),
    ('\u{3ce}', 'w'),
    ('\u{3f2}', 'c'),
    ('\u{3f3}', 'j'),
    // Cyrillic.
    ('\u{430}', 'a'),
    ('\u{432}', 'b'),
    ('\u{433}', 'r'),
    ('\u{435}', 'e'),
    ('\u{43a}', 'k'),
    ('\u{43c}', 'm'),
    ('\u{43d}', 'h'),
    ('\u{43e}', 'o'),
    ('\u{43f}', 'n'),
    ('\u{440}', 'p'),
    ('\u{441}', 'c'),
    ('\u{442}', 't'),
    ('\u{443}', 'y'),
    ('\u{445}', 'x'),
    ('\u{44c}', 'b'),
    ('\u{451}', 'e'),
    ('\u{455}', 's'),
    ('\u{456}', 'i'),
    ('\u{457}', 'i'),
    ('\u{458}', 'j'),
    ('\u{475}', 'v'),
    ('\u{4bb}', 'h'),
    ('\u{4cf}', 'l'),
    ('\u{501}', 'd'),
    ('\u{50d}', 'g'),
    ('\u{51b}', 'q'),
    ('\u{51d}', 'w'),
    // Armenian.
    ('\u{570}', 'h'),
    ('\u{578}', 'n'),
    ('\u{57d}', 'u'),
    ('\u{581}', 'g'),
    ('\u{585}', 'o'),
    // Cherokee.
    ('\u{13a0}', 'd'),
    ('\u{13a1}', 'r'),
    ('\u{13a2}', 't'),
    ('\u{13aa}', 'a'),
    ('\u{13ab}', 'j'),
    ('\u{13ac}', 'e'),
    ('\u{13b3}', 'w'),
    ('\u{13b7}', 'm'),
    ('\u{13bb}', 'h'),
    ('\u{13c0}', 'g'),
    ('\u{13c3}', 'z'),
    ('\u{13d9}', 'v'),
    ('\u{13da}', 's'),
    ('\u{13de}', 'l'),
    ('\u{13df}', 'c'),
    ('\u{13e2}', 'p'),
    ('\u{13e6}', 'k'),
    ('\u{13f4}', 'b'),
];

/// What a character stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// A letter or digit of ASCII, in lower case.
    Plain(char),
    /// The same in another style, such as full width.
    Styled(char),
    /// A letter of another script in lower case, with the Latin letter that it looks like.
    Foreign(char, Option<char>),
    /// An apostrophe, which words leave out.
    Apostrophe,
    /// A combining mark, which words leave out.
    Mark,
    /// Nothing visible.
    Hidden,
    /// White space.
    Space,
    /// Anything else.
    Symbol(char),
}

/// Returns what a character stands for.
pub(crate) fn fold(character: char) -> Folded {
    match character {
        'a'..='z' | '0'..='9' => Folded::Plain(character),
        'A'..='Z' => Folded::Plain(character.to_ascii_lowercase()),
        '\'' | '`' | '\u{91}' | '\u{92}' | '\u{b4}' | '\u{2018}' | '\u{2019}' | '\u{2bc}' => {
            Folded::Apostrophe
        }
        _ if character.is_whitespace() || character.is_ascii_control() => Folded::Space,
        '\0'..='\u{7f}' => Folded::Symbol(character),
        _ => fold_other(character),
    }
}

fn fold_other(character: char) -> Folded {
    if is_hidden(character) {
        return Folded::Hidden;
    }
    if is_mark(character) {
        return Folded::Mark;
    }
    if let Some(base) = base_letter(character) {
        return Folded::Plain(base);
    }
    if let Some(plain) = found(STYLED, character).or_else(|| styled_block(character)) {
        return match plain {
            'a'..='z' | '0'..='9' => Folded::Styled(plain),
            'A'..='Z' => Folded::Styled(plain.to_ascii_lowercase()),
            '\'' => Folded::Apostrophe,
            symbol => Folded::Symbol(symbol),
        };
    }
    if !is_letter(character) {
        return Folded::Symbol(character);
    }
    // Before the case is folded: Cherokee looks like Latin in upper case only.
    let lower = character.to_lowercase().next().unwrap_or(character);
    let latin = found(LOOKALIKES, character).or_else(|| found(LOOKALIKES, lower));
    Folded::Foreign(lower, latin)
}

fn found(table: &[(char, char)], character: char) -> Option<char> {
    let place = table.binary_search_by_key(&character, |(from, _)| *from).ok()?;
    Some(table[place].1)
}

/// Returns the base letter of a Latin letter with diacritics.
fn base_letter(character: char) -> Option<char> {
    let (table, first): (&[u8], char) = match character {
        '\u{c0}'..='\u{17f}' => (LATIN_1_AND_A, '\u{c0}'),
        '\u{180}'..='\u{24f}' => (LATIN_B, '\u{180}'),
        '\u{1e00}'..='\u{1eff}' => (LATIN_ADDITIONAL, '\u{1e00}'),
        _ => return None,
    };
    let base = table[offset(character, first) as usize];
    (base != b'?').then_some(char::from(base))
}

/// Returns what a character of a block of styled letters stands for.
fn styled_block(character: char) -> Option<char> {
    let letter = |first| {
        let place = offset(character, first) % 26;
        Some(char::from(b'a' + place as u8))
    };
    let digit = |first, zero: u8| {
        let place = offset(character, first) % 10;
        Some(char::from(zero + place as u8))
    };
    match character {
        '\u{2074}'..='\u{2079}' => digit('\u{2074}', b'4'),
        '\u{2080}'..='\u{2089}' => digit('\u{2080}', b'0'),
        '\u{2460}'..='\u{2468}' => digit('\u{2460}', b'1'),
        '\u{249c}'..='\u{24b5}' => letter('\u{249c}'),
        '\u{24b6}'..='\u{24e9}' => letter('\u{24b6}'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0),
        '\u{1d400}'..='\u{1d6a3}' => letter('\u{1d400}'),
        '\u{1d7ce}'..='\u{1d7ff}' => digit('\u{1d7ce}', b'0'),
        '\u{1f110}'..='\u{1f129}' => letter('\u{1f110}'),
        '\u{1f130}'..='\u{1f149}' => letter('\u{1f130}'),
        '\u{1f150}'..='\u{1f169}' => letter('\u{1f150}'),
        '\u{1f170}'..='\u{1f189}' => letter('\u{1f170}'),
        '\u{1f1e6}'..='\u{1f1ff}' => letter('\u{1f1e6}'),
        _ => None,
    }
}

fn offset(character: char, first: char) -> u32 {
    u32::from(character) - u32::from(first)
}

const fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

const fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Tells letters from symbols by block, so that no version of Unicode decides.
const fn is_letter(character: char) -> bool {
    !matches!(character,
        '\u{80}'..='\u{b4}' | '\u{b6}'..='\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2b0}'..='\u{2ff}'
        | '\u{2000}'..='\u{2bff}' | '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{303f}'
        | '\u{a700}'..='\u{a71f}' | '\u{e000}'..='\u{f8ff}' | '\u{fe10}'..='\u{fe6f}'
        | '\u{ff5f}'..='\u{ff65}' | '\u{ffe0}'..='\u{ffff}' | '\u{1f000}'..='\u{1faff}'
        | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_ascend_and_give_ascii() {
        for table in [STYLED, LOOKALIKES] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            assert!(table.iter().all(|(_, to)| to.is_ascii_lowercase() || to.is_ascii_digit()));
        }
    }

    #[test]
    fn every_kind_of_character_is_folded() {
        for (character, expect) in [
            ('Q', Folded::Plain('q')),
            ('7', Folded::Plain('7')),
            ('\u{c9}', Folded::Plain('e')),
            ('\u{17f}', Folded::Plain('s')),
            ('\u{1ef9}', Folded::Plain('y')),
            ('\u{d7}', Folded::Symbol('\u{d7}')),
            ('\u{ff21}', Folded::Styled('a')),
            ('\u{ff0e}', Folded::Symbol('.')),
            ('\u{1d5ba}', Folded::Styled('a')),
            ('\u{1d7ff}', Folded::Styled('9')),
            ('\u{24e9}', Folded::Styled('z')),
            ('\u{1f1ff}', Folded::Styled('z')),
            ('\u{430}', Folded::Foreign('\u{430}', Some('a'))),
            ('\u{410}', Folded::Foreign('\u{430}', Some('a'))),
            ('\u{436}', Folded::Foreign('\u{436}', None)),
            ('\u{13a0}', Folded::Foreign('\u{ab70}', Some('d'))),
            ('\u{4e2d}', Folded::Foreign('\u{4e2d}', None)),
            ('\u{301}', Folded::Mark),
            ('\u{200b}', Folded::Hidden),
            ('\u{e0041}', Folded::Hidden),
            ('\u{2019}', Folded::Apostrophe),
            ('\u{3000}', Folded::Space),
            ('\u{1f600}', Folded::Symbol('\u{1f600}')),
            ('\u{a3}', Folded::Symbol('\u{a3}')),
        ] {
            assert_eq!(fold(character), expect, "{character:?}");
        }
    }
}
