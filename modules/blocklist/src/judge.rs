//! From evidence to a verdict.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_modules_common::Name;

use crate::input::{Input, Item, PATTERN_ERROR, Rules, Threshold};
use crate::label::{self, Labels};
use crate::output::{Action, Output, Reason, Verdict, Written};
use crate::pattern::Matcher;
use crate::token::{Kind, Term, tokens};

/// Evidence by patterns, in [`Reason::sources`].
pub const BY_PATTERN: u64 = 1;
/// Evidence by the author.
pub const BY_AUTHOR: u64 = 2;
/// Evidence by the domain of a link.
pub const BY_DOMAIN: u64 = 4;
/// Evidence by labels of others.
pub const BY_LABELLER: u64 = 8;
/// Evidence by disguised words.
pub const BY_DISGUISE: u64 = 16;

/// Rules made ready, and the labels that hold.
pub(crate) struct Judge<'i, 'a> {
    rules: &'i Rules<'a>,
    labels: Labels<'a>,
    blocked: Matcher,
    allowed: Matcher,
    /// Set of each pattern.
    sets: Vec<usize>,
    authors: BTreeMap<Name<'a>, Vec<(&'a str, u64)>>,
    domains: BTreeMap<&'i str, Vec<(&'a str, u64)>>,
    labellers: BTreeMap<Name<'a>, u64>,
    allowed_authors: BTreeSet<Name<'a>>,
    allowed_items: BTreeSet<Name<'a>>,
    allowed_domains: BTreeSet<&'i str>,
    policy: BTreeMap<&'a str, Threshold<'a>>,
}

/// Evidence for each label.
type Evidence<'a> = BTreeMap<&'a str, (u64, u64)>;

impl<'i, 'a> Judge<'i, 'a> {
    pub(crate) fn new(input: &'i Input<'a>) -> Result<Self, Error> {
        let rules = &input.rules;
        let (mut blocked, mut allowed, mut sets) =
            (Matcher::default(), Matcher::default(), Vec::new());
        for (number, set) in rules.sets.iter().enumerate() {
            for (pattern, _) in &set.patterns {
                blocked.add(pattern)?;
                sets.push(number);
            }
        }
        for (number, phrase) in (0..).zip(&rules.allow.phrases) {
            allowed.add(phrase)?;
            if allowed.has_gap(number) {
                return Err(Error::new(PATTERN_ERROR, "an allowed phrase has a gap"));
            }
        }
        let mut authors: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (author, label, weight) in &rules.authors {
            authors.entry(*author).or_default().push((*label, *weight));
        }
        let mut domains: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (domain, label, weight) in &rules.domains {
            domains.entry(domain.as_str()).or_default().push((*label, *weight));
        }
        let allow = &rules.allow;
        Ok(Self {
            rules,
            labels: label::holding(&input.labels, input.now_ms),
            blocked,
            allowed,
            sets,
            authors,
            domains,
            labellers: rules.labellers.iter().copied().collect(),
            allowed_authors: allow.authors.iter().copied().collect(),
            allowed_items: allow.items.iter().copied().collect(),
            allowed_domains: allow.domains.iter().map(|domain| domain.as_str()).collect(),
            policy: rules.policy.iter().map(|threshold| (threshold.label, *threshold)).collect(),
        })
    }

    /// Judges one item.
    pub(crate) fn judge(&self, item: &Item<'a>) -> Verdict<'a> {
        let allowed =
            self.allowed_authors.contains(&item.author) || self.allowed_items.contains(&item.id);
        let mut evidence = Evidence::new();
        let mut patterns = Vec::new();
        if !allowed {
            patterns = self.read(item, &mut evidence);
            for (label, weight) in self.authors.get(&item.author).into_iter().flatten() {
                note(&mut evidence, label, *weight, BY_AUTHOR);
            }
        }
        self.labelled(item, allowed, &mut evidence);
        self.verdict(item, allowed, evidence, &patterns)
    }

    /// Looks at text and links, and returns the patterns that were found, ascending.
    fn read(&self, item: &Item<'a>, evidence: &mut Evidence<'a>) -> Vec<u32> {
        let tokens = tokens(item.text);
        let mut exempt = alloc::vec![false; tokens.len()];
        for found in self.allowed.find(&tokens, |_| false).matches {
            let first = found.last + 1 - self.allowed.tokens_of(found.pattern);
            exempt[first..=found.last].fill(true);
        }
        let is_link = |token: &Term| token.kind == Kind::Link;
        let hosts = tokens.iter().filter(|token| is_link(token)).map(|token| token.form.as_str());
        let hosts: BTreeSet<&str> =
            hosts.chain(item.domains.iter().map(|domain| domain.as_str())).collect();
        for (place, token) in tokens.iter().enumerate() {
            exempt[place] |= is_link(token) && self.is_allowed(&token.form);
        }
        self.by_domain(&hosts, evidence);

        let found = self.blocked.find(&tokens, |place| exempt[place]);
        let patterns: BTreeSet<u32> = found.matches.iter().map(|found| found.pattern).collect();
        self.by_pattern(&patterns, evidence);
        if let Some((label, weight)) = self.rules.disguise {
            let mixed = (0..tokens.len()).filter(|place| tokens[*place].mixed && !exempt[*place]);
            let disguised: BTreeSet<usize> = found.disguised.into_iter().chain(mixed).collect();
            if !disguised.is_empty() {
                note(evidence, label, weight * disguised.len() as u64, BY_DISGUISE);
            }
        }
        patterns.into_iter().collect()
    }

    fn by_domain(&self, hosts: &BTreeSet<&str>, evidence: &mut Evidence<'a>) {
        // A rule counts once, however many links meet it.
        let mut met = BTreeSet::new();
        for host in hosts.iter().filter(|host| !self.is_allowed(host)) {
            met.extend(above(host).filter(|domain| self.domains.contains_key(domain)));
        }
        for (label, weight) in met.into_iter().flat_map(|domain| &self.domains[domain]) {
            note(evidence, label, *weight, BY_DOMAIN);
        }
    }

    fn by_pattern(&self, patterns: &BTreeSet<u32>, evidence: &mut Evidence<'a>) {
        let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
        let mut first = 0;
        let firsts: Vec<usize> = self
            .rules
            .sets
            .iter()
            .map(|set| {
                let start = first;
                first += set.patterns.len();
                start
            })
            .collect();
        for pattern in patterns {
            let set = self.sets[*pattern as usize];
            let (_, weight) = self.rules.sets[set].patterns[*pattern as usize - firsts[set]];
            *sums.entry(set).or_default() += weight;
        }
        for (set, sum) in sums {
            let set = &self.rules.sets[set];
            note(evidence, set.label, sum.min(set.cap), BY_PATTERN);
        }
    }

    fn is_allowed(&self, host: &str) -> bool {
        above(host).any(|domain| self.allowed_domains.contains(domain))
    }

    /// Adds labels of others on the item and its author; only those with `!` reach what is allowed.
    fn labelled(&self, item: &Item<'a>, allowed: bool, evidence: &mut Evidence<'a>) {
        let on = |name| self.labels.get(&name).into_iter().flatten();
        let both: BTreeSet<_> = on(item.id).chain(on(item.author)).copied().collect();
        for (label, src) in both {
            let Some(weight) = self.labellers.get(&src) else { continue };
            if !allowed || label.starts_with('!') {
                note(evidence, label, *weight, BY_LABELLER);
            }
        }
    }

    fn verdict(
        &self,
        item: &Item<'a>,
        allowed: bool,
        evidence: Evidence<'a>,
        patterns: &[u32],
    ) -> Verdict<'a> {
        let mut action = Action::Show;
        let mut reasons = Vec::new();
        for (label, (score, sources)) in evidence {
            action = action.max(self.action(label, score));
            let of_label =
                |pattern: &&u32| self.rules.sets[self.sets[**pattern as usize]].label == label;
            let patterns = patterns.iter().filter(of_label).copied().collect();
            reasons.push(Reason { label, score, sources, patterns });
        }
        Verdict { id: item.id, action, allowed, reasons }
    }

    /// Returns what follows from the score of a label.
    fn action(&self, label: &str, score: u64) -> Action {
        match (label, self.policy.get(label)) {
            ("!hide", _) => Action::Hide,
            ("!warn", _) => Action::Warn,
            (_, Some(threshold)) if reaches(score, threshold.hide) => Action::Hide,
            (_, Some(threshold)) if reaches(score, threshold.warn) => Action::Warn,
            _ => Action::Show,
        }
    }

    /// Returns the labels of a verdict: those that have consequences by themselves.
    pub(crate) fn written(&self, src: Name<'a>, verdict: &Verdict<'a>) -> Vec<Written<'a>> {
        let told = verdict
            .reasons
            .iter()
            .filter(|reason| self.action(reason.label, reason.score) > Action::Show);
        told.map(|reason| Written { src, uri: verdict.id, val: reason.label }).collect()
    }
}

const fn reaches(score: u64, threshold: u64) -> bool {
    threshold > 0 && score >= threshold
}

/// Adds to the score of a label.
fn note<'a>(evidence: &mut Evidence<'a>, label: &'a str, weight: u64, source: u64) {
    let (score, sources) = evidence.entry(label).or_default();
    *score += weight;
    *sources |= source;
}

/// Returns a domain and all above it: `a.b.c`, `b.c`, `c`.
fn above(host: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(host), |domain| Some(domain.split_once('.')?.1))
}

/// Judges every item of an input.
///
/// # Errors
/// [`PATTERN_ERROR`] for a pattern that has no known form.
pub fn evaluate<'a>(input: &Input<'a>) -> Result<Output<'a>, Error> {
    let judge = Judge::new(input)?;
    let verdicts: Vec<Verdict<'a>> = input.items.iter().map(|item| judge.judge(item)).collect();
    let labels = input.src.into_iter().flat_map(|src| {
        verdicts.iter().flat_map(|verdict| judge.written(src, verdict)).collect::<Vec<_>>()
    });
    let labels = labels.collect();
    Ok(Output { verdicts, labels, cts_ms: input.now_ms })
}
