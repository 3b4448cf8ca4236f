//! How a gradient fades along the leak of silent units, in closed form.

/// A way of unrolling a network in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme {
    /// Step by step.
    Base,
    /// Steps of `theta` times the duration.
    Coarse {
        /// How many times.
        theta: usize,
    },
    /// Skip connections through time.
    Skip {
        /// Steps of a segment.
        theta: usize,
        /// Share of the stepwise path.
        beta: f64,
    },
    /// Dynamics-aligned skip connections by the published formula, with the increment of the segment's first step.
    SegmentStart {
        /// Steps of a segment.
        theta: usize,
        /// Share of the stepwise path.
        beta: f64,
    },
    /// Dynamics-aligned skip connections as in the published code, with the increment of the step before the segment.
    PreviousStep {
        /// Steps of a segment.
        theta: usize,
        /// Share of the stepwise path.
        beta: f64,
    },
}

impl Scheme {
    /// Words for tables and legends.
    pub fn label(self) -> String {
        match self {
            Self::Base => "base".into(),
            Self::Coarse { theta } => format!("coarse {theta}"),
            Self::Skip { theta, beta } => format!("skip {theta}, beta {beta}"),
            Self::SegmentStart { theta, beta } => format!("aligned {theta}, beta {beta}"),
            Self::PreviousStep { theta, beta } => format!("aligned to the step before {theta}, beta {beta}"),
        }
    }
}

/// The size of `d r_T / d r_0` over `steps` steps of a unit that is only its leak, `r' = (1 - leak) r`.
///
/// Over whole segments of `theta` steps; the number of segments is rounded down. For [`Scheme::PreviousStep`] it is the largest
/// eigenvalue of one segment to that power: what remains after many segments, not the exact value.
pub fn attenuation(scheme: Scheme, leak: f64, steps: usize) -> f64 {
    let keep = 1.0 - leak;
    let over = |factor: f64, theta: usize| factor.abs().powf((steps / theta.max(1)) as f64);
    match scheme {
        Scheme::Base => over(keep, 1),
        Scheme::Coarse { theta } => over(1.0 - theta as f64 * leak, theta),
        Scheme::Skip { theta, beta } => over(beta * keep.powf(theta as f64) + 1.0 - beta, theta),
        Scheme::SegmentStart { theta, beta } => {
            over(beta * keep.powf(theta as f64) + (1.0 - beta) * (1.0 - theta as f64 * leak), theta)
        }
        Scheme::PreviousStep { theta, beta } => {
            // State and theta times the increment, from one segment to the next.
            let (a, b) = (beta * keep.powf(theta as f64) + 1.0 - beta, 1.0 - beta);
            let c = -(theta as f64) * leak * keep.powf(theta as f64 - 1.0);
            over(radius(a, -b * c), theta)
        }
    }
}

/// The largest size of the roots of `x^2 - sum x + product`.
fn radius(sum: f64, product: f64) -> f64 {
    let below = sum * sum / 4.0 - product;
    if below < 0.0 { product.sqrt() } else { (sum / 2.0).abs() + below.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_of_leak_is_the_published_table() {
        let beta = 0.5;
        let table = [
            (Scheme::Base, [3.5e-5, 7.1e-10]),
            (Scheme::Skip { theta: 10, beta }, [0.0113, 3.8e-4]),
            (Scheme::Skip { theta: 20, beta }, [0.0209, 3.1e-3]),
            (Scheme::Skip { theta: 40, beta }, [0.0572, 0.0336]),
            (Scheme::SegmentStart { theta: 10, beta }, [6.3e-6, 6.7e-16]),
            (Scheme::SegmentStart { theta: 20, beta }, [3.4e-8, 2.7e-4]),
            (Scheme::SegmentStart { theta: 40, beta }, [0.0157, 7.4]),
            (Scheme::PreviousStep { theta: 10, beta }, [9.9e-8, 7.4e-8]),
            (Scheme::PreviousStep { theta: 20, beta }, [2.4e-4, 4.5e-5]),
            (Scheme::PreviousStep { theta: 40, beta }, [6.7e-3, 0.0149]),
            (Scheme::Coarse { theta: 10 }, [9.5e-7, 0.0]),
            (Scheme::Coarse { theta: 20 }, [0.0, 1.0]),
            (Scheme::Coarse { theta: 40 }, [1.0, 243.0]),
        ];
        for (scheme, published) in table {
            for (leak, published) in [0.05, 0.1].into_iter().zip(published) {
                let found = attenuation(scheme, leak, 200);
                // two digits are published, and a difference that is 0 leaves a rounding error to the 20th power
                let close = (found - published).abs() <= 0.025 * published + 1e-18;
                assert!(close, "{}: {found} {published}", scheme.label());
            }
        }
    }
}
