//! How the tensors of a file are named, and which shapes they have.

use std::path::Path;
use synfire::network::{head_bias, head_weight};
use synfire::tch::Tensor;
use synfire::{Error, Result, Tensors, torch_file};

/// The dictionary that holds the tensors.
pub(super) const KEY: &str = "state_dict";
const FOREIGN: &str = "use the format 'state-dict' for other PyTorch files";

/// Names in the file and names here, of what is not a head.
const LSTM: [(&str, &str); 4] = [
    ("lstm.weight_ih_l0", "input.weight"),
    ("lstm.weight_hh_l0", "recurrent.weight"),
    ("lstm.bias_ih_l0", "input.bias"),
    ("lstm.bias_hh_l0", "recurrent.bias"),
];

/// What stands before the names of a layer, counted from 0, in networks of several.
pub(super) fn prefix(layer: usize) -> String {
    format!("layer.{}.", layer + 1)
}

/// How the tensors of a file are named.
pub(super) struct Layout {
    /// Names in the file and names here, in the order of the file.
    names: Vec<(String, String)>,
    /// Before our names of each layer; one empty one where there are no layers.
    prefixes: Vec<String>,
    /// Number of `modulelist` entries before the first head.
    before_heads: usize,
    /// Whether it is that of LSTMs.
    pub lstm: bool,
}

impl Layout {
    fn lstm() -> Self {
        let names = LSTM.iter().map(|(file, ours)| ((*file).to_string(), (*ours).to_string())).collect();
        Self { names, prefixes: vec![String::new()], before_heads: 0, lstm: true }
    }

    /// Layers of the leaky cell, with these prefixes here.
    fn leaky(prefixes: Vec<String>) -> Self {
        let count = prefixes.len();
        let mut names: Vec<(String, String)> = Vec::with_capacity(5 * count);
        for (layer, prefix) in prefixes.iter().enumerate() {
            names.push((format!("parameterlist.{layer}"), format!("{prefix}time_constants")));
        }
        // The input of the first layer, recurrent weights, then the weights between layers.
        let inputs = prefixes.iter().map(|prefix| format!("{prefix}input"));
        let recurrent = prefixes.iter().map(|prefix| format!("{prefix}recurrent"));
        let modules = inputs.clone().take(1).chain(recurrent).chain(inputs.skip(1));
        for (module, ours) in modules.enumerate() {
            for part in ["weight", "bias"] {
                names.push((format!("modulelist.{module}.{part}"), format!("{ours}.{part}")));
            }
        }
        Self { names, prefixes, before_heads: 2 * count, lstm: false }
    }

    /// The layout of a file.
    pub fn of_file(found: &Tensors) -> Self {
        if found.contains(LSTM[0].0) {
            return Self::lstm();
        }
        let layers = (0..).take_while(|layer| found.contains(&format!("parameterlist.{layer}"))).count();
        match layers {
            0 | 1 => Self::leaky(vec![String::new()]),
            _ => Self::leaky((0..layers).map(prefix).collect()),
        }
    }

    /// The layout of the file that can hold a network with these parameters, if any can.
    pub fn of_network(parameters: &Tensors) -> Self {
        let layers =
            (0..).take_while(|layer| parameters.contains(&format!("{}time_constants", prefix(*layer)))).count();
        match layers {
            0 if parameters.contains("time_constants") => Self::leaky(vec![String::new()]),
            0 => Self::lstm(),
            _ => Self::leaky((0..layers).map(prefix).collect()),
        }
    }

    fn head(&self, head: usize) -> [(String, String); 2] {
        let module = head + self.before_heads;
        [
            (format!("modulelist.{module}.weight"), head_weight(head)),
            (format!("modulelist.{module}.bias"), head_bias(head)),
        ]
    }

    /// All names for a number of heads, in the order of the file.
    pub fn all(&self, heads: usize) -> impl Iterator<Item = (String, String)> {
        self.names.iter().cloned().chain((0..heads).flat_map(|head| self.head(head)))
    }

    /// The name in the file of one of our names.
    fn in_file(&self, ours: &str) -> &str {
        self.names.iter().find(|(_, name)| name == ours).map_or("", |(file, _)| file)
    }
}

/// The tensors of a file under our names, with units and heads.
pub(super) struct Read {
    pub parameters: Tensors,
    /// Of each layer.
    pub units: Vec<i64>,
    pub heads: usize,
    pub lstm: bool,
}

/// Read a file whole: nothing may be missing, nothing unknown.
///
/// # Errors
/// [`Error::File`] naming the tensor that does not fit.
pub(super) fn read(path: &Path) -> Result<Read> {
    let file = torch_file::read(path)?;
    let found = file.below(KEY).map_err(|error| Error::file(path, error, FOREIGN))?;
    let layout = Layout::of_file(&found);
    let heads = (0..).take_while(|head| found.contains(&layout.head(*head)[0].0)).count();
    let names: Vec<(String, String)> = layout.all(heads).collect();
    if let Some((missing, _)) = names.iter().find(|(name, _)| !found.contains(name)) {
        return Err(Error::file(path, format_args!("lacks the tensor '{KEY}.{missing}'"), FOREIGN));
    }
    if heads == 0 {
        return Err(Error::file(path, format_args!("lacks a head '{}'", layout.head(0)[0].0), FOREIGN));
    }
    let known = |name: &str| names.iter().any(|(known, _)| known == name);
    if let Some(extra) = found.names().find(|name| !known(name)) {
        return Err(Error::file(path, format_args!("has the unknown tensor '{KEY}.{extra}'"), FOREIGN));
    }
    let mut parameters = Tensors::new();
    for (name, ours) in names {
        parameters.insert(ours, found.get(&name)?.shallow_clone());
    }
    let units = units(path, &found, &layout, heads, FOREIGN)?;
    Ok(Read { parameters, units, heads, lstm: layout.lstm })
}

/// Refuse tensors, by their names in the file, whose shapes contradict each other; returns the number of units of each layer.
///
/// # Errors
/// [`Error::File`] naming the tensor that does not fit, with the remedy.
pub(super) fn units(path: &Path, tensors: &Tensors, layout: &Layout, heads: usize, remedy: &str) -> Result<Vec<i64>> {
    let size = |ours: &str| tensors.get(layout.in_file(ours)).map(Tensor::size);
    let columns = |ours: &str| size(ours).map(|size| size.last().copied().unwrap_or(0));
    let units = layout.prefixes.iter().map(|prefix| columns(&format!("{prefix}recurrent.weight")));
    let units = units.collect::<Result<Vec<i64>>>()?;
    let mut inputs = columns(&format!("{}input.weight", layout.prefixes[0]))?;
    let outputs = tensors.get(&layout.head(0)[0].0)?.size().first().copied().unwrap_or(0);
    let mut expected = Vec::new();
    for (prefix, units) in layout.prefixes.iter().zip(&units) {
        let rows = if layout.lstm { 4 * units } else { *units };
        let mut expect = |name: &str, shape: Vec<i64>| expected.push((format!("{prefix}{name}"), shape));
        expect("time_constants", vec![*units]);
        expect("input.weight", vec![rows, inputs]);
        expect("recurrent.weight", vec![rows, *units]);
        expect("input.bias", vec![rows]);
        expect("recurrent.bias", vec![rows]);
        inputs = *units;
    }
    for head in 0..heads {
        expected.push((head_weight(head), vec![outputs, inputs]));
        expected.push((head_bias(head), vec![outputs]));
    }
    for (name, ours) in layout.all(heads) {
        let tensor = tensors.get(&name)?;
        let size = tensor.size();
        let expected = expected.iter().find(|(name, _)| *name == ours).map(|(_, shape)| &shape[..]).unwrap_or_default();
        // A fixed time constant is one for all units.
        let fits = size == expected || (ours.ends_with("time_constants") && size == [1]);
        if !fits || size.contains(&0) || !tensor.is_floating_point() {
            let kind = tensor.kind();
            let problem =
                format_args!("has '{KEY}.{name}' of shape {size:?}, kind {kind:?}, expected {expected:?} floats");
            return Err(Error::file(path, problem, remedy));
        }
    }
    Ok(units)
}
