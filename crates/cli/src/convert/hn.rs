//! Posts in the form of the Hacker News data set, to the input of `rank`.

use std::collections::BTreeMap;

use kapsule_format::cbor::{self, Value};

use super::{
    Converted, Knob, Name, Record, Setting, VERSION, is_control, parameters, refuse, time, uint,
};
use crate::error::Failure;

/// Columns that the first line names, in any order.
const FORM: &str =
    "id,title,url,num_points,num_comments,author,created_at and, if wanted, flags,votes";
/// Greatest count of points or comments.
const COUNT_MAX: u64 = (1 << 32) - 1;
/// Longest domain in bytes (RFC 1035).
const DOMAIN_BYTES_MAX: usize = 255;

/// Parameters of the rank module.
const KNOBS: &[Knob] = &[
    ("half_life_ms", 0),
    ("promoted_half_life_ms", 1),
    ("point_weight_ppm", 2),
    ("comment_weight_ppm", 3),
    ("vote_weight_ppm", 4),
    ("trust_floor_ppm", 5),
    ("author_factor_ppm", 6),
    ("domain_factor_ppm", 7),
    ("flagged_factor_ppm", 8),
    ("rows_max", 9),
    ("promoted_trust_min_ppm", 10),
];

/// What a conversion needs beside the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options<'a> {
    /// Time of the ranking in milliseconds; the newest post where absent.
    pub(crate) now_ms: Option<u64>,
    /// Output of the trust package; without it everyone has full weight.
    pub(crate) trust: Option<Value>,
    /// Parameters.
    pub(crate) settings: &'a [Setting],
}

/// One post of a table.
struct Post {
    id: Name,
    title: String,
    author: Name,
    url: String,
    domain: String,
    points: u64,
    comments: u64,
    created_ms: u64,
    flags: Vec<String>,
    votes: Vec<Name>,
}

/// Converts posts; titles stay behind, since no score depends on them.
pub(crate) fn convert(table: &[u8], options: &Options<'_>) -> Result<Converted, Failure> {
    let parameters = parameters(options.settings, KNOBS)?;
    let posts = read(table)?;
    let newest = posts.iter().map(|post| post.created_ms).max().unwrap_or(0);
    let now = options.now_ms.unwrap_or(newest);
    let records = posts.len() as u64;
    let posts: Vec<Value> = posts.iter().map(to_value).collect();
    let mut input = vec![(0, VERSION.into()), (1, now.into()), (2, posts.into())];
    input.extend(options.trust.clone().map(|trust| (3, trust)));
    input.extend(parameters.map(|parameters| (4, parameters)));
    Ok(Converted { bytes: cbor::encode(&Value::Map(input)), records })
}

/// What a line of the table says, for a post of its own.
pub(crate) struct Story {
    /// Title.
    pub(crate) title: String,
    /// Web address, which may be empty.
    pub(crate) url: String,
    /// Who posted it.
    pub(crate) author: Name,
    /// When, in milliseconds since 1970.
    pub(crate) created_ms: u64,
    /// Points that it got.
    pub(crate) points: u64,
    /// Comments that it got.
    pub(crate) comments: u64,
}

/// Returns the stories of a table, without control characters, in its order.
pub(crate) fn stories(table: &[u8]) -> Result<Vec<Story>, Failure> {
    let story = |post: Post| Story {
        title: post.title.replace(is_control, " "),
        url: post.url.replace(is_control, " "),
        author: post.author,
        created_ms: post.created_ms,
        points: post.points,
        comments: post.comments,
    };
    Ok(read(table)?.into_iter().map(story).collect())
}

/// Returns the titles and authors of a table by post.
pub(crate) fn titles(table: &[u8]) -> Result<BTreeMap<Name, (String, Name)>, Failure> {
    Ok(read(table)?.into_iter().map(|post| (post.id, (post.title, post.author))).collect())
}

fn read(table: &[u8]) -> Result<Vec<Post>, Failure> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table);
    let headers = reader.headers().map_err(|error| refuse(FORM, error))?.clone();
    let optional = |name: &str| headers.iter().position(|header| header == name);
    let column = |name: &'static str| {
        let place = optional(name).map(|index| (index, name));
        place.ok_or_else(|| refuse(FORM, format!("the first line names no column {name}")))
    };
    let required = [
        column("id")?,
        column("title")?,
        column("url")?,
        column("num_points")?,
        column("num_comments")?,
        column("author")?,
        column("created_at")?,
    ];
    let lists = (optional("flags"), optional("votes"));
    let post = |fields: Result<csv::StringRecord, csv::Error>| {
        let fields = fields.map_err(|error| refuse(FORM, error))?;
        post(&Record { fields: &fields, form: FORM }, &required, lists)
    };
    reader.records().map(post).collect()
}

fn post(
    record: &Record<'_>,
    required: &[(usize, &'static str); 7],
    (flags, votes): (Option<usize>, Option<usize>),
) -> Result<Post, Failure> {
    let [id, title, url, points, comments, author, created_at] = *required;
    let count = |text: &str| uint(text, COUNT_MAX);
    let flags = match flags {
        Some(index) => record.read(index, "flags", |text| {
            check_text(text).map(|()| words(text).map(str::to_owned).collect())
        })?,
        None => Vec::new(),
    };
    let votes = match votes {
        Some(index) => record.read(index, "votes", |text| {
            words(text).map(str::parse).collect::<Result<Vec<Name>, String>>()
        })?,
        None => Vec::new(),
    };
    Ok(Post {
        id: record.read(id.0, id.1, str::parse)?,
        title: record.read(title.0, title.1, |text| Ok(text.to_owned()))?,
        author: record.read(author.0, author.1, str::parse)?,
        url: record.read(url.0, url.1, |text| Ok(text.to_owned()))?,
        domain: record.read(url.0, url.1, domain)?,
        points: record.read(points.0, points.1, count)?,
        comments: record.read(comments.0, comments.1, count)?,
        created_ms: record.read(created_at.0, created_at.1, time::parse)?,
        flags,
        votes,
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn to_value(post: &Post) -> Value {
    Value::Array(vec![
        (&post.id).into(),
        (&post.author).into(),
        post.domain.as_str().into(),
        post.points.into(),
        post.comments.into(),
        post.created_ms.into(),
        Value::array(post.flags.iter().map(String::as_str)),
        Value::array(post.votes.iter()),
    ])
}

fn check_text(text: &str) -> Result<(), String> {
    match text.contains(is_control) {
        true => Err("control characters are not allowed".to_owned()),
        false => Ok(()),
    }
}

/// Returns the host of a web address without `www.`, or nothing where there is none.
pub(crate) fn domain(url: &str) -> Result<String, String> {
    let Some((_, rest)) = url.split_once("://") else {
        return Ok(String::new());
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    if host.len() > DOMAIN_BYTES_MAX {
        let found = host.len();
        return Err(format!("the domain has {found} bytes, allowed are {DOMAIN_BYTES_MAX}"));
    }
    check_text(host)?;
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "id,title,url,num_points,num_comments,author,created_at\n";

    #[test]
    fn the_domain_is_the_host_without_www() {
        for (url, expect) in [
            ("", ""),
            ("http://www.Example.org/a?b", "example.org"),
            ("https://user@news.example.org:8080", "news.example.org"),
            ("https://example.org#x", "example.org"),
            ("example.org", ""),
        ] {
            assert_eq!(domain(url).as_deref(), Ok(expect));
        }
        let long = format!("http://{}", "a".repeat(256));
        assert!(domain(&long).is_err() && domain(&long[..long.len() - 1]).is_ok());
    }

    #[test]
    fn a_post_becomes_a_tuple() {
        let table = format!("{HEADER}7,\"A, b\",http://a.org/x,386,52,ne0phyte,8/4/2016 11:52\n");
        let settings = ["rows_max=3".parse().unwrap()];
        let options = Options { settings: &settings, ..Options::default() };
        let converted = convert(table.as_bytes(), &options).unwrap();
        let created = 1_470_311_520_000_u64;
        let none = || Value::Array(Vec::new());
        let post = Value::Array(vec![
            7_u64.into(),
            "ne0phyte".into(),
            "a.org".into(),
            386_u64.into(),
            52_u64.into(),
            created.into(),
            none(),
            none(),
        ]);
        let expect = Value::Map(vec![
            (0, 1_u64.into()),
            (1, created.into()),
            (2, Value::Array(vec![post])),
            (4, Value::Map(vec![(9, 3_u64.into())])),
        ]);
        assert_eq!(cbor::decode(&converted.bytes).unwrap(), expect);
        let titles = titles(table.as_bytes()).unwrap();
        assert_eq!(titles[&Name::Number(7)], ("A, b".into(), Name::Text("ne0phyte".into())));
    }

    #[test]
    fn flags_and_votes_are_words() {
        let table = b"votes,flags,created_at,author,num_comments,num_points,url,title,id\n\
            bob 7,promoted-ok flagged,1/1/1970 0:01,ada,2,1,,T,p\n";
        let converted = convert(table, &Options::default()).unwrap();
        let Value::Map(input) = cbor::decode(&converted.bytes).unwrap() else {
            panic!("an input is a map");
        };
        let expect = Value::Array(vec![Value::Array(vec![
            "p".into(),
            "ada".into(),
            "".into(),
            1_u64.into(),
            2_u64.into(),
            60_000_u64.into(),
            Value::array(["promoted-ok", "flagged"]),
            Value::Array(vec!["bob".into(), 7_u64.into()]),
        ])]);
        assert_eq!(input, [(0, 1_u64.into()), (1, 60_000_u64.into()), (2, expect)]);
    }

    #[test]
    fn errors_name_the_column() {
        for (table, expect) in [
            ("id,title\n1,x\n".to_owned(), "the first line names no column url"),
            (
                format!("{HEADER}7,A,,x,52,ada,8/4/2016 11:52\n"),
                "num_points \"x\" in line 2: expected an integer from 0 to 4294967295",
            ),
            (format!("{HEADER}7,A,,1,52,ada\n"), "line 2 has no column created_at"),
        ] {
            let failure = convert(table.as_bytes(), &Options::default()).unwrap_err();
            assert_eq!(failure.causes, [expect]);
        }
    }
}
