//! Hosts of links.

use alloc::string::String;

use crate::fold::Folded;

/// Top-level domains that make a link of a bare host; others need `www.` or a scheme.
///
/// Chosen: the greatest ones and those that spam is known for, without words that end a sentence
/// before another begins without a space.
const TOP_LEVEL: [&str; 24] = [
    "app", "biz", "club", "co", "com", "de", "dev", "eu", "fr", "info", "io", "link", "mobi",
    "net", "online", "org", "ru", "shop", "site", "top", "tv", "uk", "vip", "xyz",
];

/// Returns the host if characters without white space among them are a link or mail address.
pub(crate) fn host(folded: &[Folded]) -> Option<String> {
    let text: String = folded.iter().filter_map(|piece| visible(*piece)).collect();
    let (rest, told) = if let Some((_, rest)) = text.split_once("://") {
        (rest, true)
    } else if let Some(place) = text.find("www.") {
        (&text[place..], true)
    } else {
        (text.as_str(), false)
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let authority = authority.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
    let is_host = |part: char| part.is_ascii_alphanumeric() || part == '.' || part == '-';
    let end = authority.find(|part| !is_host(part)).unwrap_or(authority.len());
    let host = authority[..end].trim_end_matches(['.', '-']);
    let host = host.strip_prefix("www.").unwrap_or(host);
    is_domain(host, told).then(|| host.into())
}

/// Checks the form of a host, and its top-level domain where nothing else says that it is one.
fn is_domain(host: &str, told: bool) -> bool {
    let Some((rest, top)) = host.rsplit_once('.') else { return false };
    let named = (2..=24).contains(&top.len()) && top.bytes().all(|byte| byte.is_ascii_lowercase());
    let known = told || TOP_LEVEL.contains(&top);
    named && known && rest.split('.').all(|label| !label.is_empty())
}

/// Returns a character as it is seen in a link.
const fn visible(piece: Folded) -> Option<char> {
    match piece {
        Folded::Plain(seen)
        | Folded::Styled(seen)
        | Folded::Symbol(seen)
        | Folded::Foreign(_, Some(seen))
        | Folded::Foreign(seen, None) => Some(seen),
        Folded::Apostrophe => Some('\''),
        Folded::Mark | Folded::Hidden | Folded::Space => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::fold::fold;

    #[test]
    fn hosts_are_found_and_sentences_are_not() {
        for (text, expect) in [
            ("http://www.Example.org:8080/a?b", Some("example.org")),
            ("https://u:p@x.example", Some("x.example")),
            ("www.win.example", Some("win.example")),
            ("see:www.win.example.", Some("win.example")),
            ("(bargain.co.uk)", Some("bargain.co.uk")),
            ("me@mail.example.com", Some("mail.example.com")),
            ("ex\u{430}mple.com", Some("example.com")),
            ("x.com/y", Some("x.com")),
            ("ok.then", None),
            ("x..com", None),
            ("com", None),
            (".com", None),
            ("3.50", None),
            ("http://", None),
            ("10.com!", Some("10.com")),
        ] {
            let folded: Vec<Folded> = text.chars().map(fold).collect();
            assert_eq!(host(&folded).as_deref(), expect, "{text}");
        }
    }
}
