//! Reading conditions from activity: which class mean is a trial most like, at any pair of times?

use synfire::{Error, Result, Stream};

/// How halves of the trials are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Splits {
    /// How many times.
    pub count: usize,
    /// Share of the trials of each class that train.
    pub train: f64,
    /// Standard deviation of noise that is added to what is tested.
    pub noise: f64,
}

/// Fraction of correct classes `[train time][test time]`, the mean over random splits.
///
/// `activity[trial][time][unit]`. In each split the class means at every time come from the training trials; every test trial at every
/// time gets the class whose mean it correlates with best (Pearson over units).
///
/// Source: the cross-temporal decoder of Miconi 2017, doi:10.7554/eLife.20899, after Meyers et al. 2008, doi:10.1152/jn.90248.2008.
///
/// # Errors
/// [`Error::Failed`] when there are fewer than two classes with two trials each.
pub fn cross_temporal(
    activity: &[Vec<Vec<f64>>],
    classes: &[usize],
    splits: Splits,
    stream: &Stream,
) -> Result<Vec<Vec<f64>>> {
    let times = activity.first().map_or(0, Vec::len);
    let groups = classes.iter().max().map_or(0, |largest| largest + 1);
    let members: Vec<Vec<usize>> =
        (0..groups).map(|group| (0..classes.len()).filter(|trial| classes[*trial] == group).collect()).collect();
    let fit = members.iter().filter(|own| own.len() >= 2).count();
    if fit < 2 || fit < members.len() {
        return Err(Error::config(
            "trials",
            format!("gives classes of {:?} trials", members.iter().map(Vec::len).collect::<Vec<_>>()),
            "decoding needs two or more classes with at least two trials each; play more of them",
        ));
    }
    let mut correct = vec![vec![0.0; times]; times];
    let mut tested = 0usize;
    for split in 0..splits.count.max(1) {
        let mut draw = stream.child("split").at(split as u64);
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for own in &members {
            let order = draw.permutation(own.len());
            let count = ((splits.train * own.len() as f64).round() as usize).clamp(1, own.len() - 1);
            train.push(order[..count].iter().map(|at| own[*at]).collect::<Vec<_>>());
            test.extend(order[count..].iter().map(|at| own[*at]));
        }
        // Standardised over units, a correlation is a product.
        let means: Vec<Vec<Vec<f64>>> =
            (0..times).map(|time| train.iter().map(|own| standard(&mean_of(activity, own, time))).collect()).collect();
        for trial in &test {
            for (test_time, state) in activity[*trial].iter().enumerate() {
                let noisy: Vec<f64> = match splits.noise > 0.0 {
                    true => state.iter().map(|x| x + splits.noise * draw.normal()).collect(),
                    false => state.clone(),
                };
                let seen = standard(&noisy);
                for (train_time, classes_then) in means.iter().enumerate() {
                    let like = classes_then.iter().map(|mean| mean.iter().zip(&seen).map(|(a, b)| a * b).sum::<f64>());
                    let best = like.enumerate().fold((0, f64::NEG_INFINITY), |best, (class, value)| {
                        if value > best.1 { (class, value) } else { best }
                    });
                    if best.0 == classes[*trial] {
                        correct[train_time][test_time] += 1.0;
                    }
                }
            }
        }
        tested += test.len();
    }
    correct.iter_mut().flatten().for_each(|count| *count /= tested.max(1) as f64);
    Ok(correct)
}

fn mean_of(activity: &[Vec<Vec<f64>>], trials: &[usize], time: usize) -> Vec<f64> {
    let units = activity.first().and_then(|trial| trial.first()).map_or(0, Vec::len);
    (0..units)
        .map(|unit| trials.iter().map(|trial| activity[*trial][time][unit]).sum::<f64>() / trials.len() as f64)
        .collect()
}

/// Without its mean and of length 1; zeros where it does not vary.
fn standard(values: &[f64]) -> Vec<f64> {
    let mean = synfire::statistics::mean(values);
    let length = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
    values.iter().map(|x| if length > 0.0 { (x - mean) / length } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLITS: Splits = Splits { count: 20, train: 0.5, noise: 0.0 };

    /// Two classes whose code turns into its opposite between early and late times; before, there is nothing.
    fn turning() -> (Vec<Vec<Vec<f64>>>, Vec<usize>) {
        let mut stream = Stream::new(5);
        let code: Vec<f64> = (0..30).map(|_| stream.normal()).collect();
        let classes: Vec<usize> = (0..40).map(|trial| trial % 2).collect();
        let activity = classes
            .iter()
            .map(|class| {
                let sign = if *class == 0 { 1.0 } else { -1.0 };
                [0.0, 0.0, 1.0, 1.0, -1.0, -1.0]
                    .iter()
                    .map(|phase| code.iter().map(|c| sign * phase * c + 0.3 * stream.normal()).collect())
                    .collect()
            })
            .collect();
        (activity, classes)
    }

    #[test]
    fn a_code_that_turns_is_read_backwards_across_times() {
        let (activity, classes) = turning();
        let found = cross_temporal(&activity, &classes, SPLITS, &Stream::new(1)).expect("decodes");
        assert_eq!((found[2][2], found[2][3], found[4][5]), (1.0, 1.0, 1.0));
        assert_eq!((found[2][4], found[5][3]), (0.0, 0.0), "worse than chance");
        // 400 tests of 40 trials: chance is 0.5 within some 0.2
        assert!((found[0][1] - 0.5).abs() < 0.25, "{}", found[0][1]);
        let noisy = Splits { noise: 30.0, ..SPLITS };
        let blurred = cross_temporal(&activity, &classes, noisy, &Stream::new(1)).expect("decodes");
        assert!(blurred[2][2] < 0.8, "{}", blurred[2][2]);
    }

    #[test]
    fn too_few_trials_are_refused() {
        let (activity, _) = turning();
        let classes: Vec<usize> = (0..40).map(|trial| usize::from(trial == 0)).collect();
        let error = cross_temporal(&activity, &classes, SPLITS, &Stream::new(1)).expect_err("one trial").to_string();
        assert!(error.contains("[39, 1] trials"), "{error}");
    }
}
