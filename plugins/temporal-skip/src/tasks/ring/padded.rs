//! Trials of different lengths as one batch.

use std::collections::BTreeMap;
use synfire::task::{Answer, Target};
use synfire::tch::Tensor;
use synfire::{Error, Result, Trials};

/// Trials of different lengths as one batch, each part with the places of its rows: shorter ones are followed by silence that does
/// not count. Periods are kept where all rows share them.
pub fn padded(mut parts: Vec<(Vec<usize>, Trials)>, batch: usize) -> Result<Trials> {
    if let [(places, _)] = &parts[..]
        && places.iter().copied().eq(0..batch)
        && let Some((_, only)) = parts.pop()
    {
        return Ok(only);
    }
    let time = parts.iter().map(|(_, trials)| trials.time()).max().unwrap_or(0);
    let mut order = vec![0i64; batch];
    let places = parts.iter().flat_map(|(places, _)| places);
    for (index, place) in places.enumerate() {
        order[*place] = index as i64;
    }
    let order = Tensor::from_slice(&order);
    let joined = |pick: &dyn Fn(&Trials) -> Option<Tensor>| -> Result<Tensor> {
        let mut padded = Vec::new();
        for (_, trials) in &parts {
            let own = pick(trials).ok_or_else(|| Error::Failed("trials of a ring task lack a target".into()))?;
            let mut shape = own.size();
            shape[0] = time as i64 - shape[0];
            padded.push(Tensor::f_cat(&[&own, &Tensor::f_zeros(&shape, (own.kind(), own.device()))?], 0)?);
        }
        Ok(Tensor::f_cat(&padded, 1)?.f_index_select(1, &order)?)
    };
    let target = |t: &Trials| t.targets.first().map(|target| target.values.shallow_clone());
    let weight = |t: &Trials| t.targets.first().and_then(|target| target.weight.as_ref()).map(Tensor::shallow_clone);
    let mut all = Target::new(0, None, Answer::EveryStep, joined(&target)?, Some(joined(&weight)?));
    all.total = batch as f64;
    let settle = match parts.iter().map(|(_, t)| t.settle.as_ref()).collect::<Option<Vec<_>>>() {
        Some(settling) => Some(Tensor::f_cat(&settling, 1)?.f_index_select(1, &order)?),
        None => None,
    };
    let mut conditions: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (places, trials) in &parts {
        for (name, column) in &trials.conditions {
            let all = conditions.entry(name.clone()).or_insert_with(|| vec![0.0; batch]);
            places.iter().zip(column).for_each(|(place, value)| all[*place] = *value);
        }
    }
    let inputs = joined(&|t: &Trials| Some(t.inputs.shallow_clone()))?;
    Ok(Trials { inputs, targets: vec![all], answer: Answer::EveryStep, settle, conditions, ..Trials::default() })
}
