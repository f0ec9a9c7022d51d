//! The input: the time, the posts, what the viewer thinks of people, and the parameters.

use alloc::format;
use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_guest::minicbor::Decoder;
use kapsule_modules_common::{Name, read};

use crate::trust::Trust;

/// Code of a parameter out of its range.
pub const PARAMETER_ERROR: u16 = 16;
/// Code of an input with more posts than [`POSTS_MAX`] or more votes than [`VOTES_MAX`].
pub const LIMIT_ERROR: u16 = 17;
/// Code of an input in which two posts have one id.
pub const REPEATED_ERROR: u16 = 18;

/// Greatest number of posts; chosen so that a run stays below 64 MiB of memory.
pub const POSTS_MAX: usize = 50_000;
/// Greatest number of votes for all posts; chosen likewise.
pub const VOTES_MAX: usize = 200_000;

/// Greatest length of a domain, in bytes (RFC 1035).
const DOMAIN_BYTES_MAX: usize = 255;
/// Greatest time, in milliseconds.
const TIME_MS_MAX: u64 = (1 << 53) - 1;
/// Greatest count of points or comments.
const COUNT_MAX: u64 = (1 << 32) - 1;
/// One hour, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// One post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post<'a> {
    /// Which one; no two posts share an id.
    pub id: Name<'a>,
    /// Who wrote it.
    pub author: Name<'a>,
    /// Domain that it links to; empty if it links nowhere.
    pub domain: &'a str,
    /// Points that were given without a name.
    pub points: u32,
    /// Number of comments.
    pub comments: u32,
    /// When it was written, in milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Whether it has the flag `flagged`.
    pub flagged: bool,
    /// Whether it has the flag `promoted-ok`.
    pub promoted_ok: bool,
    /// Who voted for it by name, ascending, each once and without the author.
    pub votes: Vec<Name<'a>>,
}

/// The knobs, each with the range that [`Input::decode`] accepts and its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Age at which a trending score halves: a minute to 2^40 ms; 12 hours.
    pub half_life_ms: u64,
    /// Age at which a promoted score halves: a minute to 2^40 ms; 7 days.
    pub promoted_half_life_ms: u64,
    /// Worth of a point: 0 to 10,000,000; 1,000,000.
    pub point_weight_ppm: u64,
    /// Worth of a comment: 0 to 10,000,000; 500,000.
    pub comment_weight_ppm: u64,
    /// Worth of the vote of someone of full weight: 0 to 10,000,000; 5,000,000.
    pub vote_weight_ppm: u64,
    /// Factor of an author of no weight: 1 to 1,000,000; 50,000.
    pub trust_floor_ppm: u64,
    /// Factor for each other post of the author in the window above: 1 to 1,000,000; 500,000.
    pub author_factor_ppm: u64,
    /// Factor for each other post of the domain in the window above: 1 to 1,000,000; 800,000.
    pub domain_factor_ppm: u64,
    /// Factor of a flagged post: 1 to 1,000,000; 100,000.
    pub flagged_factor_ppm: u64,
    /// Greatest number of rows in a list: 0 to 50,000; 0, which means all.
    pub rows_max: u64,
    /// Least weight of the author of a promoted post: 0 to 1,000,000; 250,000.
    pub promoted_trust_min_ppm: u64,
}

impl Default for Parameters {
    /// All are chosen; the README says what they do to an order.
    fn default() -> Self {
        Self {
            half_life_ms: 12 * HOUR_MS,
            promoted_half_life_ms: 7 * 24 * HOUR_MS,
            point_weight_ppm: 1_000_000,
            comment_weight_ppm: 500_000,
            vote_weight_ppm: 5_000_000,
            trust_floor_ppm: 50_000,
            author_factor_ppm: 500_000,
            domain_factor_ppm: 800_000,
            flagged_factor_ppm: 100_000,
            rows_max: 0,
            promoted_trust_min_ppm: 250_000,
        }
    }
}

impl Parameters {
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Error> {
        const HALF_LIFE: (u64, u64) = (60_000, 1 << 40);
        const WORTH: (u64, u64) = (0, 10_000_000);
        const FACTOR: (u64, u64) = (1, 1_000_000);
        let mut parameters = Self::default();
        read::map(decoder, "parameters", |key, decoder| {
            let (field, what, (least, most)) = match key {
                0 => (&mut parameters.half_life_ms, "half_life_ms", HALF_LIFE),
                1 => (&mut parameters.promoted_half_life_ms, "promoted_half_life_ms", HALF_LIFE),
                2 => (&mut parameters.point_weight_ppm, "point_weight_ppm", WORTH),
                3 => (&mut parameters.comment_weight_ppm, "comment_weight_ppm", WORTH),
                4 => (&mut parameters.vote_weight_ppm, "vote_weight_ppm", WORTH),
                5 => (&mut parameters.trust_floor_ppm, "trust_floor_ppm", FACTOR),
                6 => (&mut parameters.author_factor_ppm, "author_factor_ppm", FACTOR),
                7 => (&mut parameters.domain_factor_ppm, "domain_factor_ppm", FACTOR),
                8 => (&mut parameters.flagged_factor_ppm, "flagged_factor_ppm", FACTOR),
                9 => (&mut parameters.rows_max, "rows_max", (0, POSTS_MAX as u64)),
                10 => {
                    let field = &mut parameters.promoted_trust_min_ppm;
                    (field, "promoted_trust_min_ppm", (0, 1_000_000))
                }
                _ => return Ok(false),
            };
            *field = read::uint(decoder, what, 0..=u64::MAX)?;
            if !(least..=most).contains(field) {
                let text = format!("{what} {field} is outside {least} to {most}");
                return Err(Error::new(PARAMETER_ERROR, text));
            }
            Ok(true)
        })?;
        Ok(parameters)
    }
}

/// A decoded input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// When the posts are ranked, in milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
    /// The posts.
    pub posts: Vec<Post<'a>>,
    /// What the viewer thinks of people; without it everyone has full weight.
    pub trust: Option<Trust<'a>>,
    /// The knobs.
    pub parameters: Parameters,
}

impl<'a> Input<'a> {
    /// Decodes the input of a run.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form, [`PARAMETER_ERROR`], [`LIMIT_ERROR`],
    /// [`REPEATED_ERROR`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut now_ms, mut posts, mut trust) = (None, None, None);
        let mut parameters = Parameters::default();
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => now_ms = Some(read::uint(decoder, "now_ms", 0..=TIME_MS_MAX)?),
                2 => posts = Some(decode_posts(decoder)?),
                3 => trust = Some(Trust::decode(decoder)?),
                4 => parameters = Parameters::decode(decoder)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            now_ms: read::required(now_ms, "input", "now_ms")?,
            posts: read::required(posts, "input", "posts")?,
            trust,
            parameters,
        })
    }
}

fn decode_posts<'a>(decoder: &mut Decoder<'a>) -> Result<Vec<Post<'a>>, Error> {
    let count = read::array(decoder, "posts")?;
    check_count(count, "posts", POSTS_MAX)?;
    let mut posts: Vec<Post<'a>> = Vec::with_capacity(count as usize);
    let mut votes = 0;
    for _ in 0..count {
        posts.push(decode_post(decoder, &mut votes)?);
    }
    let mut ids: Vec<Name<'a>> = posts.iter().map(|post| post.id).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::new(REPEATED_ERROR, format!("two posts have id {:?}", pair[0]))),
        None => Ok(posts),
    }
}

/// Decodes a post and adds the number of its votes, as they stand there, to `votes`.
fn decode_post<'a>(decoder: &mut Decoder<'a>, votes: &mut u64) -> Result<Post<'a>, Error> {
    read::tuple(decoder, "post", 8)?;
    let id = Name::decode(decoder, "id")?;
    let author = Name::decode(decoder, "author")?;
    let start = decoder.position();
    let domain = read::text(decoder, "domain")?;
    if domain.len() > DOMAIN_BYTES_MAX {
        return Err(read::refuse(start, "domain", "longer than 255 bytes"));
    }
    let mut post = Post {
        id,
        author,
        domain,
        points: read::uint(decoder, "points", 0..=COUNT_MAX)? as u32,
        comments: read::uint(decoder, "comments", 0..=COUNT_MAX)? as u32,
        created_ms: read::uint(decoder, "created_ms", 0..=TIME_MS_MAX)?,
        flagged: false,
        promoted_ok: false,
        votes: Vec::new(),
    };
    for _ in 0..read::array(decoder, "flags")? {
        match read::text(decoder, "flag")? {
            "flagged" => post.flagged = true,
            "promoted-ok" => post.promoted_ok = true,
            // Other flags are for others.
            _ => (),
        }
    }
    let count = read::array(decoder, "votes")?;
    *votes = votes.saturating_add(count);
    check_count(*votes, "votes", VOTES_MAX)?;
    post.votes.reserve_exact(count as usize);
    for _ in 0..count {
        post.votes.push(Name::decode(decoder, "vote")?);
    }
    post.votes.sort_unstable();
    post.votes.dedup();
    post.votes.retain(|voter| *voter != post.author);
    Ok(post)
}

fn check_count(count: u64, what: &str, most: usize) -> Result<(), Error> {
    if count > most as u64 {
        return Err(Error::new(LIMIT_ERROR, format!("{count} {what} exceed the limit of {most}")));
    }
    Ok(())
}
