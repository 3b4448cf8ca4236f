//! Costs on weights and activity that a gradient rule adds to the task's loss.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::optimizer::pattern;
use synfire::task::Period;
use synfire::tch::{Kind, Tensor};
use synfire::{Error, Problems, Result, Tensors, Trials};

/// What the squared part of a penalty on weights sums up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SquareForm {
    /// The mean of `w^2` over the entries.
    #[default]
    Mean,
    /// Half the sum of `w^2`: what is usually called weight decay.
    HalfSum,
    /// The Euclidean norm, not squared.
    Norm,
}

/// A cost on the size of parameters: for each parameter, `l1 * mean |w| + l2 * square(w)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightPenalty {
    /// Patterns of the parameters; `*` stands for any run of characters.
    pub parameters: Vec<String>,
    /// Factor of the mean absolute value.
    #[schemars(range(min = 0.0))]
    pub l1: f64,
    /// Factor of the squared part.
    #[schemars(range(min = 0.0))]
    pub l2: f64,
    /// What the squared part is.
    pub square: SquareForm,
}

impl Default for WeightPenalty {
    fn default() -> Self {
        Self { parameters: vec!["*weight".into()], l1: 0.0, l2: 0.0, square: SquareForm::Mean }
    }
}

impl WeightPenalty {
    /// Report every option that is out of range.
    pub fn check(&self, problems: &mut Problems) {
        require_factor(problems, "l1", self.l1);
        require_factor(problems, "l2", self.l2);
        if self.parameters.is_empty() {
            problems.add("parameters", "is empty", "name at least one pattern such as \"recurrent.*\"");
        }
    }

    /// Add the penalty's gradient to the gradients of the parameters it names. Parameters without a gradient are left alone: the
    /// present trials do not use them.
    ///
    /// # Errors
    /// When a gradient has no parameter or another shape.
    pub fn add_gradient(&self, parameters: &Tensors, gradients: &mut Tensors) -> Result<()> {
        if self.l1 == 0.0 && self.l2 == 0.0 {
            return Ok(());
        }
        let matches = |name: &&str| self.parameters.iter().any(|p| pattern::matches(p, name));
        let names: Vec<String> = gradients.names().filter(matches).map(str::to_string).collect();
        for name in names {
            let weight = parameters.get(&name)?.detach();
            let entries = weight.numel().max(1) as f64;
            let mut sum = gradients.get(&name)?.f_add(&(weight.f_sign()? * (self.l1 / entries)))?;
            if self.l2 > 0.0 {
                let square = match self.square {
                    SquareForm::Mean => &weight * (2.0 * self.l2 / entries),
                    SquareForm::HalfSum => &weight * self.l2,
                    // At zero the norm has no gradient; zero is the usual choice.
                    SquareForm::Norm => &weight * self.l2 / weight.f_norm()?.clamp_min(f64::from(f32::MIN_POSITIVE)),
                };
                sum = sum.f_add(&square)?;
            }
            gradients.insert(name, sum);
        }
        Ok(())
    }
}

/// A cost on the rates `r` of all units: `l1 * mean |r| + l2 * mean r^2` over time, trials and units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ActivityPenalty {
    /// Factor of the mean absolute rate.
    #[schemars(range(min = 0.0))]
    pub l1: f64,
    /// Factor of the mean squared rate.
    #[schemars(range(min = 0.0))]
    pub l2: f64,
    /// Names of periods of a trial, such as `response`: only their steps cost anything, and each time that one of them comes counts
    /// alike, however long it is. Empty for all steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<String>,
}

impl ActivityPenalty {
    /// Report every option that is out of range.
    pub fn check(&self, problems: &mut Problems) {
        require_factor(problems, "l1", self.l1);
        require_factor(problems, "l2", self.l2);
        if self.periods.iter().any(String::is_empty) {
            problems.add("periods", "has an empty name", "name periods of the task's trials");
        }
    }

    /// Whether it costs anything.
    pub fn is_active(&self) -> bool {
        self.l1 > 0.0 || self.l2 > 0.0
    }

    /// The cost of rates `[time, rows, unit]` of trials as a share of a batch of `batch` trials; 0-dimensional.
    ///
    /// # Errors
    /// When the rates do not have three axes; [`Error::Config`] where the trials have none of the periods.
    pub fn cost(&self, rates: &Tensor, trials: &Trials, batch: usize) -> Result<Tensor> {
        let time = rates.size3()?.0;
        if self.periods.is_empty() {
            return self.of_stretch(rates, batch);
        }
        let counts = |period: &&Period| self.periods.contains(&period.name);
        let mut costs = Vec::new();
        for period in trials.periods.iter().filter(counts) {
            let (start, end) = (period.steps.start as i64, (period.steps.end as i64).min(time));
            if start < end {
                costs.push(self.of_stretch(&rates.f_narrow(0, start, end - start)?, batch)?);
            }
        }
        if costs.is_empty() {
            let mut names: Vec<&str> = trials.periods.iter().map(|period| &*period.name).collect();
            names.sort_unstable();
            names.dedup();
            let there = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            let problem = format!("is {:?}, of which these trials have none", self.periods);
            return Err(Error::config(
                "rule.activity_penalty.periods",
                problem,
                format_args!("their periods: {there}"),
            ));
        }
        Ok(Tensor::f_stack(&costs, 0)?.f_mean(None::<Kind>)?)
    }

    fn of_stretch(&self, rates: &Tensor, batch: usize) -> Result<Tensor> {
        let (time, _, units) = rates.size3()?;
        let entries = (time * units) as f64 * batch as f64;
        let mut cost = Tensor::zeros([], (rates.kind(), rates.device()));
        if self.l1 > 0.0 {
            cost += rates.abs().sum(None::<Kind>) * (self.l1 / entries);
        }
        if self.l2 > 0.0 {
            cost += rates.square().sum(None::<Kind>) * (self.l2 / entries);
        }
        Ok(cost)
    }
}

fn require_factor(problems: &mut Problems, field: &str, value: f64) {
    problems.require(value.is_finite() && value >= 0.0, field, value, "0 or greater");
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::tch::Device;
    use synfire::tensors::values_f64;

    /// The cost itself, written as a scalar, differentiated by libtorch.
    fn by_autograd(penalty: &WeightPenalty, weight: &Tensor) -> Vec<f64> {
        let leaf = weight.detach().copy().set_requires_grad(true);
        let square = match penalty.square {
            SquareForm::Mean => leaf.square().mean(Kind::Double),
            SquareForm::HalfSum => leaf.square().sum(Kind::Double) * 0.5,
            SquareForm::Norm => leaf.square().sum(Kind::Double).sqrt(),
        };
        let cost = leaf.abs().mean(Kind::Double) * penalty.l1 + square * penalty.l2;
        values_f64(&Tensor::run_backward(&[cost], &[leaf], false, false)[0])
    }

    #[test]
    fn gradients_of_weight_penalties_are_those_of_the_cost() {
        let weight = Tensor::from_slice(&[0.5, -2.0, 1.5, 0.25]).reshape([2, 2]);
        for square in [SquareForm::Mean, SquareForm::HalfSum, SquareForm::Norm] {
            let penalty = WeightPenalty { l1: 0.3, l2: 0.7, square, ..WeightPenalty::default() };
            let parameters = Tensors::from([("a.weight", weight.shallow_clone()), ("bias", weight.shallow_clone())]);
            let mut gradients = Tensors::from([("a.weight", weight.zeros_like()), ("bias", weight.zeros_like())]);
            penalty.add_gradient(&parameters, &mut gradients).expect("fits");
            let found = values_f64(gradients.get("a.weight").expect("there"));
            for (a, b) in found.iter().zip(by_autograd(&penalty, &weight)) {
                assert!((a - b).abs() < 1e-14, "{square:?}: {a} {b}");
            }
            assert_eq!(values_f64(gradients.get("bias").expect("there")), [0.0; 4]);
        }
    }

    #[test]
    fn unused_parameters_are_left_alone_and_a_zero_weight_has_no_norm_gradient() {
        let penalty = WeightPenalty { l2: 1.0, square: SquareForm::Norm, ..WeightPenalty::default() };
        let zero = Tensor::zeros([3], (Kind::Double, Device::Cpu));
        let parameters = Tensors::from([("weight", zero.shallow_clone()), ("unused.weight", zero.shallow_clone())]);
        let mut gradients = Tensors::from([("weight", zero.shallow_clone())]);
        penalty.add_gradient(&parameters, &mut gradients).expect("fits");
        assert_eq!(gradients.names().collect::<Vec<_>>(), ["weight"]);
        assert_eq!(values_f64(gradients.get("weight").expect("there")), [0.0; 3]);
    }

    #[test]
    fn costs_of_rows_add_up() {
        let penalty = ActivityPenalty { l1: 0.5, l2: 2.0, ..ActivityPenalty::default() };
        let rates = Tensor::from_slice(&[1.0, -2.0, 3.0, 0.0, -1.0, 0.5]).reshape([1, 3, 2]);
        let trials = Trials::default();
        let share =
            |from, rows| penalty.cost(&rates.narrow(1, from, rows), &trials, 3).expect("three axes").double_value(&[]);
        // mean |r| = 7.5 / 6, mean r^2 = 15.25 / 6
        let by_hand = 0.5 * 7.5 / 6.0 + 2.0 * 15.25 / 6.0;
        assert!((share(0, 3) - by_hand).abs() < 1e-14);
        assert!((share(0, 1) + share(1, 2) - by_hand).abs() < 1e-14);
    }

    #[test]
    fn only_the_chosen_periods_cost_and_each_counts_alike() {
        let rates = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 50.0, 6.0]).reshape([6, 1, 1]);
        let periods = [("stimulus", 0..1), ("response", 1..4), ("wait", 4..5), ("response", 5..6)];
        let periods = periods.into_iter().map(|(name, steps)| Period::new(name, steps.start, steps.end)).collect();
        let trials = Trials { periods, ..Trials::default() };
        let named = |name: &str| ActivityPenalty { l1: 0.5, l2: 1.0, periods: vec![name.into()] };
        let cost = named("response").cost(&rates, &trials, 1).expect("there").double_value(&[]);
        // means of 2, 3, 4 and of 6, and of their squares
        let by_hand = 0.5 * (3.0 + 6.0) / 2.0 + (29.0 / 3.0 + 36.0) / 2.0;
        assert!((cost - by_hand).abs() < 1e-13, "{cost}");
        let error = named("delay").cost(&rates, &trials, 1).expect_err("no such period").to_string();
        assert!(
            error.contains("rule.activity_penalty.periods") && error.contains("response, stimulus, wait"),
            "{error}"
        );
    }

    #[test]
    fn negative_factors_are_refused() {
        let mut problems = Problems::under("rule.activity_penalty");
        ActivityPenalty { l1: -1.0, l2: f64::NAN, ..ActivityPenalty::default() }.check(&mut problems);
        let message = problems.into_result().expect_err("two problems").to_string();
        assert!(message.contains("rule.activity_penalty.l1 is -1, must be 0 or greater"), "{message}");
        assert!(message.contains("l2 is NaN"), "{message}");
    }
}
