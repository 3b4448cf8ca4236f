//! Weights as the program of the reward-modulated Hebbian rule writes them.

use super::learning_rules_model::{clamped, first_unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use synfire::format::Imported;
use synfire::storage::atomic;
use synfire::tch::{Kind, Tensor};
use synfire::tensors::values_f64;
use synfire::{Cell, Component, Error, Format, Network, Result, Spec, Task, Tensors};

/// Weights of networks of the reward-modulated Hebbian rule: two files without any header, recurrent weights and input weights.
///
/// The recurrent weights `[unit, unit]` lie in a file whose name has a `J`, the input weights `[unit, input]` in one beside it that has
/// `win` in its place: `J.dat` and `win.dat`, `J_a.dat` and `win_a.dat`, `net_J.txt` and `net_win.txt`. Files that end in `.txt` have one
/// row a line, numbers apart by blanks or commas; all others are little-endian numbers of double precision, column after column.
///
/// Imported are networks of `leaky-rnn` in the `current` form with time constants of 30 ms, units 1, 10 and 11 clamped to 1, 1 and -1, and
/// one head that says the rate of unit 0. Three inputs mean the task `delayed-nonmatch`, five `selective-integration`; with
/// `drop_first_input` the first channel, which is always 0 there, is left out.
///
/// Source: Miconi 2017, doi:10.7554/eLife.20899; files of its published programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HebbianWeights {
    /// Whether to leave out the first input channel.
    pub drop_first_input: bool,
}

/// The file of the input weights beside that of the recurrent weights.
fn beside(path: &Path) -> Result<PathBuf> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let Some(at) = stem.rfind('J') else {
        let remedy =
            "give the file with the recurrent weights, such as J.dat; that of the input weights lies beside it";
        return Err(Error::file(path, "has no J in its name", remedy));
    };
    let name = format!("{}win{}", &stem[..at], &stem[at + 1..]);
    let extension = path.extension().and_then(|extension| extension.to_str());
    Ok(path.with_file_name(extension.map_or(name.clone(), |extension| format!("{name}.{extension}"))))
}

fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "txt")
}

/// A matrix with `rows` rows, or as many as columns.
fn read(path: &Path, rows: Option<i64>) -> Result<Tensor> {
    let bytes = atomic::read(path)?;
    let damaged = |problem: String| Error::file(path, problem, "is it the whole file, in the format of its ending?");
    let numbers: Vec<f64> = if is_text(path) {
        let text = String::from_utf8_lossy(&bytes);
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
        words
            .map(|word| word.parse().map_err(|_| damaged(format!("has '{word}' among its numbers"))))
            .collect::<Result<_>>()?
    } else {
        if bytes.len() % 8 != 0 {
            return Err(damaged(format!("has {} bytes, not a multiple of 8", bytes.len())));
        }
        bytes.chunks_exact(8).map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect()
    };
    let count = numbers.len() as i64;
    let rows = rows.unwrap_or_else(|| (count as f64).sqrt().round() as i64);
    if count == 0 || rows == 0 || count % rows != 0 || numbers.iter().any(|number| !number.is_finite()) {
        return Err(damaged(format!("has {count} numbers, which do not make a finite matrix of {rows} rows")));
    }
    let columns = count / rows;
    let flat = Tensor::from_slice(&numbers);
    Ok(match is_text(path) {
        true => flat.f_reshape([rows, columns])?,
        false => flat.f_reshape([columns, rows])?.f_transpose(0, 1)?.f_contiguous()?,
    })
}

fn write(path: &Path, matrix: &Tensor) -> Result<()> {
    if is_text(path) {
        let columns = matrix.size().last().copied().unwrap_or(1).max(1) as usize;
        let line = |row: &[f64]| row.iter().map(f64::to_string).collect::<Vec<_>>().join(" ") + "\n";
        let text: String = values_f64(matrix).chunks(columns).map(line).collect();
        return atomic::write(path, text.as_bytes());
    }
    let by_columns = values_f64(&matrix.f_transpose(0, 1)?);
    let bytes: Vec<u8> = by_columns.into_iter().flat_map(f64::to_le_bytes).collect();
    atomic::write(path, &bytes)
}

#[typetag::serde(name = "hebbian-weights")]
impl Format for HebbianWeights {
    fn import(&self, path: &Path) -> Result<Imported> {
        let of_input = beside(path)?;
        let recurrent = read(path, None)?;
        let units = recurrent.size()[0];
        if recurrent.size() != [units, units] {
            let problem = format_args!("has a matrix of shape {:?}", recurrent.size());
            return Err(Error::file(path, problem, "recurrent weights are a square"));
        }
        let mut input = read(&of_input, Some(units))?;
        let mut inputs = input.size()[1];
        if self.drop_first_input && inputs > 1 {
            input = input.f_narrow(1, 1, inputs - 1)?.f_contiguous()?;
            inputs -= 1;
        }
        let mut notes = vec![
            "The files hold weights alone; time constants of 30 ms, tanh and three clamped units were assumed.".into(),
        ];
        let task: Option<Spec<dyn Task>> = match (inputs, self.drop_first_input) {
            (3, false) => Some(Spec::new("delayed-nonmatch")),
            (2, true) => Some(Spec::with("delayed-nonmatch", &json!({ "go_channel": false }))),
            (5, false) => Some(Spec::new("selective-integration")),
            (n, _) => {
                notes.push(format!("No task of these programs has {n} inputs; say which it was."));
                None
            }
        };
        let cell = json!({
            "hidden": units, "placement": "current", "activation": "tanh", "input_bias": false, "heads": { "bias": false },
            "time_constants": { "unit": "ms", "low": 30.0, "high": 30.0, "shared": true },
            "initial_state": { "low": -0.1, "high": 0.1 },
            "clamped": if units > 11 { clamped() } else { json!([]) },
        });
        let parameters = Tensors::from([
            ("time_constants", Tensor::from_slice(&[30.0])),
            ("input.weight", input),
            ("recurrent.weight", recurrent),
            ("head.0.weight", first_unit(units, Kind::Double)?),
        ]);
        Ok(Imported {
            parameters,
            heads: vec![0],
            task,
            cell: Some(Spec::<dyn Cell>::with("leaky-rnn", &cell)),
            rule: Some(Spec::new("reward-hebbian")),
            notes,
            ..Imported::default()
        })
    }

    fn export(&self, network: &Network, path: &Path) -> Result<()> {
        let get = |name: &str| {
            network.parameters.find(name).ok_or_else(|| {
                let remedy = "the format holds leaky-rnn networks; use 'state-dict' for others";
                Error::file(path, format_args!("cannot hold a network without '{name}'"), remedy)
            })
        };
        write(&beside(path)?, get("input.weight")?)?;
        write(path, get("recurrent.weight")?)
    }
}

synfire::inventory::submit! { Component::format::<HebbianWeights>("hebbian-weights") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::Stream;
    use synfire::tch::Device;

    #[test]
    fn columns_come_one_after_another_and_text_row_by_row() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        // J = [[1, 2], [3, 4]], win = [[5, 6, 7], [8, 9, 10]]
        let raw = |numbers: &[f64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        std::fs::write(path("J_a.dat"), raw(&[1.0, 3.0, 2.0, 4.0])).expect("writes");
        std::fs::write(path("win_a.dat"), raw(&[5.0, 8.0, 6.0, 9.0, 7.0, 10.0])).expect("writes");
        std::fs::write(path("net_J.txt"), "1 2\n3 4\n").expect("writes");
        std::fs::write(path("net_win.txt"), "5,6,7\n8,9,10\n").expect("writes");
        for name in ["J_a.dat", "net_J.txt"] {
            let imported = HebbianWeights::default().import(&path(name)).expect("reads");
            let get = |name: &str| values_f64(imported.parameters.get(name).expect("there"));
            assert_eq!(get("recurrent.weight"), [1.0, 2.0, 3.0, 4.0], "{name}");
            assert_eq!(get("input.weight"), [5.0, 6.0, 7.0, 8.0, 9.0, 10.0], "{name}");
            assert_eq!(imported.task.expect("three inputs").name, "delayed-nonmatch");
        }
        let dropped = HebbianWeights { drop_first_input: true }.import(&path("J_a.dat")).expect("reads");
        assert_eq!(values_f64(dropped.parameters.get("input.weight").expect("there")), [6.0, 7.0, 9.0, 10.0]);
        std::fs::write(path("J_b.dat"), [0u8; 12]).expect("writes");
        let error = HebbianWeights::default().import(&path("J_b.dat")).expect_err("cut off").to_string();
        assert!(error.contains("12 bytes"), "{error}");
        let error = HebbianWeights::default().import(&path("win_a.dat")).expect_err("the other file").to_string();
        assert!(error.contains("no J in its name"), "{error}");
    }

    #[test]
    fn exported_weights_come_back_bit_for_bit() {
        let folder = tempfile::tempdir().expect("a folder");
        let draw = |shape: &[i64]| Stream::new(2).normal_tensor(shape, Kind::Double, Device::Cpu);
        for name in ["J.dat", "J.txt"] {
            let path = folder.path().join(name);
            write(&path, &draw(&[14, 14])).expect("writes");
            write(&beside(&path).expect("a J"), &draw(&[14, 5])).expect("writes");
            let format = HebbianWeights::default();
            let imported = format.import(&path).expect("reads");
            assert_eq!(*imported.parameters.get("recurrent.weight").expect("there"), draw(&[14, 14]));
            assert_eq!(*imported.parameters.get("input.weight").expect("there"), draw(&[14, 5]));
            assert_eq!(imported.task.expect("five inputs").name, "selective-integration");
            assert_eq!(imported.cell.expect("known").options()["clamped"], clamped());
        }
    }
}
