//! Words in disguise are found, and plain words that resemble them are not.

use crate::support::{item, judge, rules, score};

fn found(word: &'static str, text: &str) -> bool {
    score(&judge(&rules(&[word]), &item(text)), "spam") > 0
}

#[test]
fn disguised_words_are_found() {
    for (way, text) in [
        ("as it is", "cheap viagra here"),
        ("case", "ViAgRA"),
        ("Cyrillic among Latin", "vi\u{430}gr\u{430}"),
        ("Greek among Latin", "\u{3bd}iagra"),
        ("Cherokee among Latin", "vi\u{13aa}gra"),
        ("full width", "\u{ff56}\u{ff49}\u{ff41}\u{ff47}\u{ff52}\u{ff41}"),
        ("mathematical bold", "\u{1d42f}\u{1d422}\u{1d41a}\u{1d420}\u{1d42b}\u{1d41a}"),
        ("enclosed", "\u{24e5}\u{24d8}\u{24d0}\u{24d6}\u{24e1}\u{24d0}"),
        ("squared", "\u{1f145}\u{1f138}\u{1f130}\u{1f136}\u{1f141}\u{1f130}"),
        ("regional indicators", "\u{1f1fb}\u{1f1ee}\u{1f1e6}\u{1f1ec}\u{1f1f7}\u{1f1e6}"),
        ("small capitals", "\u{1d20}\u{26a}\u{1d00}\u{262}\u{280}\u{1d00}"),
        ("diacritics", "v\u{ed}\u{e0}\u{11f}r\u{e5}"),
        ("combining marks", "v\u{336}i\u{336}a\u{336}g\u{336}r\u{336}a\u{336}"),
        ("zero width", "v\u{200b}i\u{200d}a\u{2060}gra"),
        ("soft hyphen", "via\u{ad}gra"),
        ("direction marks", "via\u{202e}\u{202c}gra"),
        ("variation selectors", "v\u{fe0f}iagra"),
        ("digits", "v1agra"),
        ("digits and signs", "vi@gr4"),
        ("letters doubled", "viagraaaa"),
        ("letters apart", "v i a g r a"),
        ("letters with dots", "v.i.a.g.r.a"),
        ("letters with hyphens", "v-i-a-g-r-a"),
        ("several at once", "V \u{456} \u{e0} \u{ff47} r \u{430}"),
        ("apostrophe", "via'gra"),
    ] {
        assert!(found("viagra", text), "{way}: {text}");
    }
}

#[test]
fn words_of_lookalikes_alone_are_folded() {
    // All Cyrillic.
    assert!(found("cop", "\u{441}\u{43e}\u{440}"));
    assert!(found("\u{441}\u{43e}\u{440}", "\u{421}\u{41e}\u{420}"));
}

#[test]
fn other_words_are_left() {
    for (word, text) in [
        ("win", "wln"),
        ("viagra", "niagara"),
        ("viagra", "via gra"),
        ("free", "freedom carefree"),
        // A word of another script stays what it is.
        ("coco", "\u{441}\u{43e}\u{441}\u{43d}\u{430}"),
        ("sex", "Essex sexton"),
        // Two letters look like too much.
        ("ok", "0k"),
    ] {
        assert!(!found(word, text), "{word} in {text}");
    }
}

#[test]
fn disguise_is_evidence_of_its_own() {
    let rules = blocklist::Rules { disguise: Some(("evasion", 7)), ..rules(&["viagra"]) };
    for (text, expect) in [
        ("viagra", 0),
        ("v1agra", 7),
        ("v1agra and vi\u{430}gra", 14),
        // Mixed scripts count without a rule for the word; a word in another script does not.
        ("h\u{435}llo", 7),
        ("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}", 0),
        ("caf\u{e9}", 0),
        ("2nd 4u", 0),
    ] {
        assert_eq!(score(&judge(&rules, &item(text)), "evasion"), expect, "{text}");
    }
}
