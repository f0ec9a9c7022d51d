//! Text to tokens.

use alloc::string::String;
use alloc::vec::Vec;

use crate::fold::{Folded, fold};
use crate::link;

/// Least number of digits that stand on their own beside letters, as a telephone number does.
const DIGITS_APART: usize = 4;
/// Least number of single letters that make a word together.
const SPELT_MIN: usize = 3;
/// Least number of equal letters in a row that nobody writes by custom.
const STRETCHED_MIN: usize = 3;
/// Greatest number of digits of a telephone number (ITU-T E.164).
const TELEPHONE_DIGITS_MAX: usize = 15;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, or letters and digits mixed.
    Word,
    /// Digits.
    Number,
    /// Digits behind a currency sign.
    Money,
    /// The host of a link, without a leading `www.`.
    Link,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// What it is.
    pub(crate) kind: Kind,
    /// In lower case, without diacritics, with lookalikes folded.
    pub(crate) form: String,
    /// How it looks, if it is written in a way that people use to hide a word.
    pub(crate) skeleton: Option<String>,
    /// Whether other scripts or hidden characters are mixed into it.
    pub(crate) mixed: bool,
}

/// Returns how a form looks: digits and signs as the letters that they stand for, no letter twice
/// in a row.
///
/// `i`, `l` and what looks like them are one.
pub(crate) fn skeleton(form: &str) -> String {
    let mut seen = String::with_capacity(form.len());
    for character in form.chars() {
        let looks = match character {
            '0' => 'o',
            '1' | 'i' | '!' | '|' => 'l',
            '3' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' | '+' => 't',
            '8' => 'b',
            '9' => 'g',
            other => other,
        };
        if !seen.ends_with(looks) {
            seen.push(looks);
        }
    }
    seen
}

/// Returns the form of a word as a rule writes it.
pub(crate) fn form(word: &str) -> Option<String> {
    match tokens(word).as_slice() {
        [Term { kind: Kind::Word, form, .. }] => Some(form.clone()),
        _ => None,
    }
}

/// Returns the tokens of a text.
pub(crate) fn tokens(text: &str) -> Vec<Term> {
    let mut tokens = Terms::default();
    for chunk in text.split(|character| fold(character) == Folded::Space) {
        let folded: Vec<Folded> = chunk.chars().map(fold).collect();
        if folded.is_empty() {
            continue;
        }
        match link::host(&folded) {
            Some(host) => tokens.push_link(host),
            None => tokens.chunk(&folded),
        }
        tokens.spaced = true;
    }
    tokens.finish()
}

/// A run of characters that may become a word.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Folded>,
    hidden: bool,
}

/// Terms being made.
#[derive(Default)]
struct Terms {
    tokens: Vec<Term>,
    /// The characters of the token being read.
    run: Pieces,
    /// Whether a currency sign stands right before the run.
    money: bool,
    /// Whether only white space stands between the last token and the run.
    spaced: bool,
    /// How many single letters stand at the end of the tokens.
    letters: usize,
}

impl Terms {
    fn chunk(&mut self, folded: &[Folded]) {
        for (place, piece) in folded.iter().enumerate() {
            let next = folded.get(place + 1).copied();
            match *piece {
                Folded::Plain(_) | Folded::Styled(_) | Folded::Foreign(..) => {
                    self.run.pieces.push(*piece);
                }
                Folded::Hidden => self.run.hidden |= !self.run.pieces.is_empty(),
                Folded::Apostrophe | Folded::Mark | Folded::Space => {}
                Folded::Symbol(symbol) => self.symbol(symbol, next),
            }
        }
        self.flush();
        self.money = false;
    }

    fn symbol(&mut self, symbol: char, next: Option<Folded>) {
        let last = self.run.pieces.last().copied();
        let between = |test: fn(Folded) -> bool| last.is_some_and(test) && next.is_some_and(test);
        match symbol {
            '@' | '$' | '!' | '|' | '+' if between(is_letter) => {
                self.run.pieces.push(Folded::Symbol(symbol));
            }
            // 2,000 and 1.50 and 0870-123.
            ',' | '.' | '-' if between(is_digit) => {}
            _ => {
                self.flush();
                self.money = matches!(symbol, '$' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20cf}');
                self.spaced = false;
            }
        }
    }

    /// Ends the run: digits that stand apart become numbers, the rest words.
    fn flush(&mut self) {
        let run = core::mem::take(&mut self.run);
        let mut word: Vec<Folded> = Vec::new();
        let mut pieces = run.pieces.as_slice();
        while !pieces.is_empty() {
            let digits = pieces.iter().take_while(|piece| is_digit(**piece)).count();
            let whole = digits == pieces.len() && word.is_empty();
            if digits >= DIGITS_APART || (digits > 0 && whole) {
                self.push_word(&word, run.hidden);
                word.clear();
                self.push_number(&pieces[..digits]);
                pieces = &pieces[digits..];
            } else {
                let (taken, rest) = pieces.split_at(digits.max(1));
                word.extend_from_slice(taken);
                pieces = rest;
            }
        }
        self.push_word(&word, run.hidden);
    }

    fn push_number(&mut self, digits: &[Folded]) {
        let digits: String = digits.iter().filter_map(|piece| plain(*piece)).collect();
        let kind = if core::mem::take(&mut self.money) { Kind::Money } else { Kind::Number };
        if let Some(last) = self.tokens.last_mut() {
            // 0800 123 4567 is one number.
            let fits = last.form.len() + digits.len() <= TELEPHONE_DIGITS_MAX;
            let telephone = last.kind == Kind::Number && last.form.starts_with('0');
            if self.spaced && kind == Kind::Number && telephone && fits {
                last.form.push_str(&digits);
                return;
            }
        }
        self.push(Term { kind, form: digits, skeleton: None, mixed: false });
    }

    fn push_link(&mut self, host: String) {
        self.money = false;
        self.push(Term { kind: Kind::Link, form: host, skeleton: None, mixed: false });
    }

    fn push_word(&mut self, pieces: &[Folded], hidden: bool) {
        if pieces.is_empty() {
            return;
        }
        self.money = false;
        let token = word(pieces, hidden);
        let letter = pieces.len() == 1;
        if !letter {
            self.end_spelling();
        }
        self.push(token);
        self.letters = if letter { self.letters + 1 } else { 0 };
    }

    /// Adds a token.
    fn push(&mut self, token: Term) {
        if token.kind != Kind::Word {
            self.end_spelling();
        }
        self.tokens.push(token);
        self.spaced = true;
    }

    /// Adds the word that single letters spell together.
    fn end_spelling(&mut self) {
        let count = core::mem::take(&mut self.letters);
        if count >= SPELT_MIN {
            let letters = &self.tokens[self.tokens.len() - count..];
            let form: String = letters.iter().map(|token| token.form.as_str()).collect();
            let mixed = letters.iter().any(|token| token.mixed);
            let skeleton = Some(skeleton(&form));
            self.tokens.push(Term { kind: Kind::Word, form, skeleton, mixed });
        }
    }

    fn finish(mut self) -> Vec<Term> {
        self.end_spelling();
        self.tokens
    }
}

/// Makes a word of its characters.
fn word(pieces: &[Folded], hidden: bool) -> Term {
    let any = |test: fn(Folded) -> bool| pieces.iter().any(|piece| test(*piece));
    let latin = any(|piece| matches!(piece, Folded::Plain('a'..='z') | Folded::Styled('a'..='z')));
    let foreign = any(|piece| matches!(piece, Folded::Foreign(..)));
    let styled = any(|piece| matches!(piece, Folded::Styled(_)));
    let unlike = any(|piece| matches!(piece, Folded::Foreign(_, None)));
    // A word of another script stays in it, unless every letter looks like a Latin one.
    let fold_lookalikes = latin || !unlike;
    let form: String = pieces
        .iter()
        .filter_map(|piece| match *piece {
            Folded::Foreign(_, Some(latin)) if fold_lookalikes => Some(latin),
            Folded::Foreign(own, _) => Some(own),
            Folded::Symbol(symbol) => Some(symbol),
            other => plain(other),
        })
        .collect();
    let mixed = (latin && foreign) || styled || (hidden && latin);
    let written = any(is_digit) || any(|piece| matches!(piece, Folded::Symbol(_)));
    let skeleton = (mixed || written || is_stretched(&form)).then(|| skeleton(&form));
    Term { kind: Kind::Word, form, skeleton, mixed }
}

fn is_stretched(form: &str) -> bool {
    let letters: Vec<char> = form.chars().collect();
    letters.windows(STRETCHED_MIN).any(|run| run.iter().all(|letter| *letter == run[0]))
}

const fn is_digit(piece: Folded) -> bool {
    matches!(piece, Folded::Plain('0'..='9') | Folded::Styled('0'..='9'))
}

const fn is_letter(piece: Folded) -> bool {
    matches!(piece, Folded::Plain(_) | Folded::Styled(_) | Folded::Foreign(..)) && !is_digit(piece)
}

const fn plain(piece: Folded) -> Option<char> {
    match piece {
        Folded::Plain(plain) | Folded::Styled(plain) => Some(plain),
        _ => None,
    }
}
