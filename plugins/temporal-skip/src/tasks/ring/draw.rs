//! What chance decides about one trial.

use super::rule::{Content, Rule};
use super::{Answered, NonMatch, NonMatchOrder};
use std::f64::consts::{FRAC_PI_2, PI, TAU};
use synfire::Stream;

/// A stimulus on one ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stimulus {
    /// 0 or 1.
    pub modality: usize,
    /// Radians.
    pub angle: f64,
    /// What its bump is multiplied with.
    pub strength: f64,
}

/// One trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// What is shown first, or at once where there is one stimulus epoch.
    pub first: Vec<Stimulus>,
    /// What is shown second; shown together with the first where there is one stimulus epoch.
    pub second: Vec<Stimulus>,
    /// Angle of the response in radians; `None` to keep fixating.
    pub response: Option<f64>,
    /// Strength of the first stimulus minus that of the second, in the modality that counts.
    pub difference: f64,
}

/// A number uniform in `[low, high)`.
fn uniform(stream: &mut Stream, low: f64, high: f64) -> f64 {
    low + (high - low) * stream.uniform()
}

/// An angle a quarter to three quarters of a turn from another.
fn far_from(angle: f64, stream: &mut Stream) -> f64 {
    (angle + uniform(stream, FRAC_PI_2, 3.0 * FRAC_PI_2)).rem_euclid(TAU)
}

/// Strengths of two stimuli: their mean is drawn around 1, and their difference.
fn strengths(stream: &mut Stream) -> (f64, f64) {
    let (mean, difference) = (uniform(stream, 0.8, 1.2), uniform(stream, 0.1, 0.2));
    (mean + difference, mean - difference)
}

/// Strengths of which a coin says whether the first is the larger.
fn tossed(stream: &mut Stream) -> (f64, f64) {
    let (larger, smaller) = strengths(stream);
    if stream.bernoulli(0.5) { (larger, smaller) } else { (smaller, larger) }
}

impl Drawn {
    /// Draw a trial of a rule.
    pub fn draw(rule: &Rule, non_match: &NonMatch, stream: &mut Stream) -> Self {
        match rule.content {
            Content::Angle { opposite } => {
                let modality = stream.below(2) as usize;
                let angle = uniform(stream, 0.0, TAU);
                let response = if opposite { (angle + PI).rem_euclid(TAU) } else { angle };
                let first = vec![Stimulus { modality, angle, strength: 1.0 }];
                Self { first, second: Vec::new(), response: Some(response), difference: 0.0 }
            }
            Content::Stronger { modality, distracted } => {
                let a = uniform(stream, 0.0, TAU);
                let b = far_from(a, stream);
                let (strength_a, strength_b) = tossed(stream);
                let mut first = vec![Stimulus { modality, angle: a, strength: strength_a }];
                let mut second = vec![Stimulus { modality, angle: b, strength: strength_b }];
                if distracted {
                    let (other_a, other_b) = tossed(stream);
                    first.push(Stimulus { modality: 1 - modality, angle: a, strength: other_a });
                    second.push(Stimulus { modality: 1 - modality, angle: b, strength: other_b });
                }
                let response = if strength_a > strength_b { a } else { b };
                Self { first, second, response: Some(response), difference: strength_a - strength_b }
            }
            Content::Integrate => {
                let a = uniform(stream, 0.0, TAU);
                let b = far_from(a, stream);
                let (larger, smaller) = strengths(stream);
                let modality = stream.below(2) as usize;
                let weight = uniform(stream, 1.2, 1.4);
                let in_both = |angle: f64, strength: f64| -> Vec<Stimulus> {
                    let of = |m: usize| strength * if m == modality { weight } else { 2.0 - weight };
                    (0..2).map(|modality| Stimulus { modality, angle, strength: of(modality) }).collect()
                };
                let (mut first, mut second) = (in_both(a, larger), in_both(b, smaller));
                let mut difference = larger - smaller;
                if stream.bernoulli(0.5) {
                    (first, second) = (second, first);
                    difference = -difference;
                }
                Self { first, second, response: Some(a), difference }
            }
            Content::Match { categories, inverted } => {
                let modalities = [stream.below(2) as usize, stream.below(2) as usize];
                let same = stream.bernoulli(0.5);
                let (a, b) = match categories {
                    false => near_or_far(same, stream),
                    true => by_category(same, non_match.order, stream),
                };
                let inverted = inverted && non_match.answer == Answered::Opposite;
                let stimulus = |modality: usize, angle: f64| vec![Stimulus { modality, angle, strength: 1.0 }];
                Self {
                    first: stimulus(modalities[0], a),
                    second: stimulus(modalities[1], b),
                    response: (same != inverted).then_some(b),
                    difference: 0.0,
                }
            }
        }
    }
}

/// Two angles at most ten degrees apart, or far from each other.
fn near_or_far(same: bool, stream: &mut Stream) -> (f64, f64) {
    let a = uniform(stream, 0.0, TAU);
    let b = match same {
        true => (a + uniform(stream, -PI / 18.0, PI / 18.0)).rem_euclid(TAU),
        false => far_from(a, stream),
    };
    (a, b)
}

/// Two angles of the first or the third quarter of the ring, or one of each.
fn by_category(same: bool, order: NonMatchOrder, stream: &mut Stream) -> (f64, f64) {
    let (a, b) = (uniform(stream, 0.0, FRAC_PI_2), uniform(stream, 0.0, FRAC_PI_2));
    let coin = stream.bernoulli(0.5);
    match (same, coin, order) {
        (true, false, _) => (a, b),
        (true, true, _) => (a + PI, b + PI),
        (false, true, NonMatchOrder::Both) => (a + PI, b),
        (false, _, _) => (a, b + PI),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bump::distance;
    use super::super::rule::RULES;
    use super::*;

    fn many(name: &str, non_match: NonMatch) -> Vec<Drawn> {
        let rule = RULES.iter().find(|rule| rule.name == name).expect("a rule");
        (0..4000).map(|row| Drawn::draw(rule, &non_match, &mut Stream::new(3).at(row))).collect()
    }

    fn default(name: &str) -> Vec<Drawn> {
        many(name, NonMatch::default())
    }

    /// The share of trials, within five standard errors of a half.
    fn is_half(count: usize) {
        assert!(count.abs_diff(2000) < 160, "{count} of 4000");
    }

    #[test]
    fn one_stimulus_says_where_to_go() {
        for (name, turn) in [("go", 0.0), ("rtgo", 0.0), ("dlygo", 0.0), ("anti", PI), ("rtanti", PI), ("dlyanti", PI)]
        {
            let drawn = default(name);
            for trial in &drawn {
                let [stimulus] = &trial.first[..] else { panic!("{name}: one stimulus") };
                assert!(trial.second.is_empty());
                assert!(distance(stimulus.angle + turn, trial.response.expect("goes")) < 1e-12);
            }
            is_half(drawn.iter().filter(|trial| trial.first[0].modality == 1).count());
        }
    }

    #[test]
    fn the_stronger_one_wins_in_its_own_modality() {
        for (name, modality, rings) in [("dm1", 0, 1), ("dlydm2", 1, 1), ("ctxdm2", 1, 2), ("ctxdlydm1", 0, 2)] {
            let drawn = default(name);
            for trial in &drawn {
                assert_eq!((trial.first.len(), trial.second.len()), (rings, rings));
                let (a, b) = (trial.first[0], trial.second[0]);
                assert_eq!((a.modality, b.modality), (modality, modality));
                assert!(distance(a.angle, b.angle) >= FRAC_PI_2 - 1e-12);
                let larger = if a.strength > b.strength { a } else { b };
                assert_eq!(trial.response, Some(larger.angle));
                let gap = (a.strength - b.strength).abs();
                // twice a difference between 0.1 and 0.2
                assert!((0.2 - 1e-12..0.4).contains(&gap), "{gap}");
                assert!(
                    trial.first.get(1).is_none_or(|other| other.modality == 1 - modality && other.angle == a.angle)
                );
            }
            is_half(drawn.iter().filter(|trial| trial.difference > 0.0).count());
            let agree = drawn.iter().filter(|t| {
                t.first
                    .get(1)
                    .zip(t.second.get(1))
                    .is_some_and(|(a, b)| (a.strength > b.strength) == (t.difference > 0.0))
            });
            if rings == 2 {
                is_half(agree.count());
            }
        }
    }

    #[test]
    fn both_modalities_are_weighted() {
        for name in ["multsendm", "multsendlydm"] {
            let drawn = default(name);
            for trial in &drawn {
                let sum = |list: &[Stimulus]| list.iter().map(|s| s.strength).sum::<f64>() / 2.0;
                let (first, second) = (sum(&trial.first), sum(&trial.second));
                let stronger = if first > second { &trial.first } else { &trial.second };
                assert_eq!(trial.response, Some(stronger[0].angle));
                let ratio = trial.first[0].strength / first;
                let off = (ratio - 1.0).abs();
                assert!((0.2 - 1e-9..0.4 + 1e-9).contains(&off), "{ratio}");
                assert!((trial.difference - (first - second)).abs() < 1e-12);
            }
            is_half(drawn.iter().filter(|trial| trial.difference > 0.0).count());
        }
    }

    #[test]
    fn matches_are_answered_and_the_n_tasks_are_their_opposites() {
        for (name, inverted) in [("dms", false), ("dnms", true)] {
            let drawn = default(name);
            for trial in &drawn {
                let (a, b) = (trial.first[0].angle, trial.second[0].angle);
                let near = distance(a, b) <= PI / 18.0 + 1e-12;
                assert!(near || distance(a, b) >= FRAC_PI_2 - 1e-12);
                assert_eq!(trial.response, (near != inverted).then_some(b));
            }
            is_half(drawn.iter().filter(|trial| trial.response.is_some()).count());
        }
        let published = NonMatch { answer: Answered::AsMatch, ..NonMatch::default() };
        let (match_, non_match) = (many("dms", published), many("dnms", published));
        assert_eq!(match_, non_match, "in the published code they differ in nothing but the rule");
    }

    #[test]
    fn categories_come_in_both_orders_unless_published() {
        let quarter = |angle: f64| (angle / FRAC_PI_2) as usize;
        let orders = |non_match| {
            let mut counts = [[0usize; 4]; 4];
            for trial in many("dmc", non_match) {
                let (a, b) = (quarter(trial.first[0].angle), quarter(trial.second[0].angle));
                assert_eq!(trial.response.is_some(), a == b);
                counts[a][b] += 1;
            }
            [counts[0][0], counts[2][2], counts[0][2], counts[2][0]]
        };
        let found = orders(NonMatch::default());
        // a quarter each; five standard errors are 137
        assert!(found.iter().all(|count| count.abs_diff(1000) < 137), "{found:?}");
        let found = orders(NonMatch { order: NonMatchOrder::FirstCategoryFirst, ..NonMatch::default() });
        assert_eq!(found[3], 0, "the second category never comes first in a non-match");
        assert_eq!(found.iter().sum::<usize>(), 4000);
    }
}
