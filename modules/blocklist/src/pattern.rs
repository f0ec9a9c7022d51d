//! Patterns over tokens, and all patterns of a rule set at once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_guest::Error;

use crate::input::PATTERN_ERROR;
use crate::token::{self, Kind, Term, skeleton};

/// Greatest number of steps of a pattern, a gap of n counting n; a state is one bit of 32.
pub const STEPS_MAX: usize = 31;
/// Least length of a word that is also found by how it looks; below, too much looks alike.
const SKELETON_MIN: usize = 3;

/// What one step of a pattern takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A word.
    Word(String),
    /// A word that begins so.
    Prefix(String),
    /// Digits with this behind them.
    Digits(String),
    /// A number of this many digits.
    Number(usize, usize),
    Money,
    Link,
    /// Any token.
    Any,
    /// Any token, or none.
    Gap,
}

/// Where a step stands: pattern and place in it.
type Place = (u32, u8);

/// One pattern in the form in which it is run.
#[derive(Clone, Copy, Debug)]
struct Program {
    steps: u8,
    /// Steps that any token passes.
    any: u32,
    /// Steps that may be left out.
    gaps: u32,
}

/// All patterns of a rule set.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    programs: Vec<Program>,
    words: BTreeMap<String, Vec<Place>>,
    looks: BTreeMap<String, Vec<Place>>,
    prefixes: BTreeMap<String, Vec<Place>>,
    prefix_bytes: Vec<usize>,
    digits: BTreeMap<String, Vec<Place>>,
    numbers: BTreeMap<(usize, usize), Vec<Place>>,
    money: Vec<Place>,
    link: Vec<Place>,
}

/// A match: the pattern, and the token at which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) pattern: u32,
    pub(crate) last: usize,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Matches in the order of their last tokens.
    pub(crate) matches: Vec<Match>,
    /// Terms that a word was recognised in by how it looks alone.
    pub(crate) disguised: Vec<usize>,
}

impl Matcher {
    /// Adds a pattern; its number is that of the patterns before.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), Error> {
        let refuse =
            |reason: &str| Error::new(PATTERN_ERROR, format!("pattern {text:?}: {reason}"));
        let mut steps = Vec::new();
        for element in text.split(' ') {
            steps.extend(parse(element).ok_or_else(|| refuse("an element has no known form"))?);
        }
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return Err(refuse("it is empty"));
        };
        if *first == Step::Gap || *last == Step::Gap {
            return Err(refuse("it begins or ends with a gap"));
        }
        if steps.len() > STEPS_MAX {
            return Err(refuse("it has more than 31 steps"));
        }
        let pattern = self.programs.len() as u32;
        let mut program = Program { steps: steps.len() as u8, any: 0, gaps: 0 };
        for (place, step) in (0_u8..).zip(steps) {
            if step == Step::Gap {
                program.gaps |= 1 << place;
            }
            if matches!(step, Step::Any | Step::Gap) {
                program.any |= 1 << place;
            }
            self.index(step, (pattern, place));
        }
        self.programs.push(program);
        Ok(())
    }

    fn index(&mut self, step: Step, place: Place) {
        let places = match step {
            Step::Word(word) => {
                let looks = skeleton(&word);
                if looks.len() >= SKELETON_MIN {
                    self.looks.entry(looks).or_default().push(place);
                }
                self.words.entry(word).or_default()
            }
            Step::Prefix(prefix) => {
                if let Err(slot) = self.prefix_bytes.binary_search(&prefix.len()) {
                    self.prefix_bytes.insert(slot, prefix.len());
                }
                self.prefixes.entry(prefix).or_default()
            }
            Step::Digits(unit) => self.digits.entry(unit).or_default(),
            Step::Number(least, most) => self.numbers.entry((least, most)).or_default(),
            Step::Money => &mut self.money,
            Step::Link => &mut self.link,
            Step::Any | Step::Gap => return,
        };
        places.push(place);
    }

    /// Returns how many tokens a pattern without gaps takes.
    pub(crate) fn tokens_of(&self, pattern: u32) -> usize {
        usize::from(self.programs[pattern as usize].steps)
    }

    /// Returns whether a pattern has a gap.
    pub(crate) fn has_gap(&self, pattern: u32) -> bool {
        self.programs[pattern as usize].gaps != 0
    }

    /// Finds every pattern; tokens that `is_exempt` names pass no step but `<any>` and gaps.
    pub(crate) fn find(&self, tokens: &[Term], is_exempt: impl Fn(usize) -> bool) -> Found {
        let mut found = Found::default();
        // Bit n of a state: the first n steps are done. A pattern may begin at every token.
        let mut states: BTreeMap<u32, u32> = BTreeMap::new();
        for (number, token) in tokens.iter().enumerate() {
            let mut passes: BTreeMap<u32, u32> = BTreeMap::new();
            if !is_exempt(number) {
                let exact = self.passes(token, &mut passes);
                if !exact && self.disguised(token, &mut passes) {
                    found.disguised.push(number);
                }
            }
            let mut next = BTreeMap::new();
            for pattern in states.keys().filter(|pattern| !passes.contains_key(pattern)) {
                self.advance(*pattern, 0, &states, &mut next);
            }
            for (pattern, mask) in &passes {
                self.advance(*pattern, *mask, &states, &mut next);
            }
            next.retain(|pattern, state| {
                let done = 1 << self.programs[*pattern as usize].steps;
                if *state & done != 0 {
                    found.matches.push(Match { pattern: *pattern, last: number });
                }
                *state &= !done;
                // Without a step done, the pattern is where every pattern is.
                *state & !1 != 0
            });
            states = next;
        }
        found
    }

    /// Moves a pattern over one token whose mask of passed steps is given.
    fn advance(
        &self,
        pattern: u32,
        mask: u32,
        states: &BTreeMap<u32, u32>,
        next: &mut BTreeMap<u32, u32>,
    ) {
        let program = self.programs[pattern as usize];
        let state = states.get(&pattern).copied().unwrap_or(0) | 1;
        let mut state = (state & (mask | program.any)) << 1;
        // A step that may be left out is done where the one before it is.
        for place in 0..program.steps {
            if state & program.gaps & (1 << place) != 0 {
                state |= 1 << (place + 1);
            }
        }
        if state != 0 {
            next.insert(pattern, state);
        }
    }

    /// Adds the steps that a token passes as it is written, and says whether there are any.
    fn passes(&self, token: &Term, passes: &mut BTreeMap<u32, u32>) -> bool {
        match token.kind {
            Kind::Word => {
                add(self.words.get(&token.form), passes);
                for length in &self.prefix_bytes {
                    let prefix = token.form.get(..*length);
                    add(prefix.and_then(|prefix| self.prefixes.get(prefix)), passes);
                }
                let unit = token.form.trim_start_matches(|digit: char| digit.is_ascii_digit());
                if unit.len() < token.form.len() {
                    add(self.digits.get(unit), passes);
                }
            }
            Kind::Number => {
                for ((least, most), places) in &self.numbers {
                    if (*least..=*most).contains(&token.form.len()) {
                        add(Some(places), passes);
                    }
                }
            }
            Kind::Money => add(Some(&self.money), passes),
            Kind::Link => add(Some(&self.link), passes),
        }
        !passes.is_empty()
    }

    /// Adds the steps that a token passes by how it looks.
    fn disguised(&self, token: &Term, passes: &mut BTreeMap<u32, u32>) -> bool {
        let looks = token.skeleton.as_ref().and_then(|skeleton| self.looks.get(skeleton));
        add(looks, passes);
        looks.is_some()
    }
}

fn add(places: Option<&Vec<Place>>, passes: &mut BTreeMap<u32, u32>) {
    for (pattern, place) in places.into_iter().flatten() {
        *passes.entry(*pattern).or_default() |= 1 << place;
    }
}

/// Returns the steps of an element, or nothing if it has no known form.
fn parse(element: &str) -> Option<Vec<Step>> {
    if let Some(gap) = element.strip_prefix("..") {
        return Some(vec![Step::Gap; small(gap)?]);
    }
    if let Some(class) = element.strip_prefix('<') {
        return class.strip_suffix('>').and_then(class_step).map(|step| vec![step]);
    }
    let word = |text: &str| token::form(text).filter(|_| !text.contains(['#', '*']));
    let step = if let Some(unit) = element.strip_prefix('#') {
        Step::Digits(word(unit)?)
    } else if let Some(prefix) = element.strip_suffix('*') {
        Step::Prefix(word(prefix)?)
    } else {
        Step::Word(word(element)?)
    };
    Some(vec![step])
}

fn class_step(class: &str) -> Option<Step> {
    match class {
        "money" => Some(Step::Money),
        "link" => Some(Step::Link),
        "any" => Some(Step::Any),
        _ => {
            let (least, most) = class.split_once('-').unwrap_or((class, class));
            let (least, most) = (small(least)?, small(most)?);
            (least <= most).then_some(Step::Number(least, most))
        }
    }
}

/// Reads 1 to 99.
fn small(text: &str) -> Option<usize> {
    let digits = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tokens;

    fn found(pattern: &str, text: &str) -> bool {
        let mut matcher = Matcher::default();
        matcher.add(pattern).unwrap();
        !matcher.find(&tokens(text), |_| false).matches.is_empty()
    }

    #[test]
    fn elements_take_what_they_name() {
        for (pattern, takes, leaves) in [
            ("free", "It is FREE!", "freedom"),
            ("free*", "freedom", "unfree"),
            ("gratis", "Gr\u{e1}tis", "gratin"),
            ("#ppm", "only 150ppm", "ppm"),
            ("#p min", "10p/min", "10p a min"),
            ("<5>", "to 87121 now", "to 871211"),
            ("<10-11>", "call 0800 169 6031", "call 0800 169"),
            ("<10-11>", "0871-872-9755", "0871/872/9755"),
            ("<10-11>", "08452810075over18's", "12345"),
            ("<money>", "a \u{a3}2,000 prize", "2,000"),
            ("<link>", "go www.x.example", "go x.example"),
            ("win ..2 prize", "win a big prize", "win a very big prize"),
            ("win ..2 prize", "win prize", "prize win"),
            ("win <any> prize", "win a prize", "win prize"),
            ("you have won", "you have, won", "have you won"),
            ("u r", "u r ok", "ur"),
            ("dont", "don't", "do not"),
            (
                "\u{441}\u{43a}\u{438}\u{434}\u{43a}\u{430}",
                "\u{421}\u{41a}\u{418}\u{414}\u{41a}\u{410}",
                "ckuaka",
            ),
        ] {
            assert!(found(pattern, takes), "{pattern:?} in {takes:?}");
            assert!(!found(pattern, leaves), "{pattern:?} in {leaves:?}");
        }
    }

    #[test]
    fn overlapping_beginnings_are_all_followed() {
        assert!(found("a ..3 a b", "a a x a b"));
        assert!(found("a <any> <any> b", "a a a b b"));
    }

    #[test]
    fn other_forms_are_refused() {
        let long = ["a"; 32].join(" ");
        for pattern in [
            "", " ", "a  b", "..2 a", "a ..2", "a ..0 b", "a ..x b", "<>", "<x>", "<5", "<9-3>",
            "<100>", "<0>", "a*b", "#", "*", "##p", "!", "a-b", "12", "a ..31 b", "x.com", &long,
        ] {
            assert!(Matcher::default().add(pattern).is_err(), "{pattern:?}");
        }
    }
}
