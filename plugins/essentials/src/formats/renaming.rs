//! Names of tensors in files of other programs, and the names that our networks give them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use synfire::format::Imported;
use synfire::{Error, Lesson, Problems, Result, Tensors};

/// Names in the file on the left, names of the network's parameters on the right.
///
/// A `*` on both sides stands for the same text: `"readout.*" = "head.0.*"`. A whole name wins over a pattern, a longer pattern over
/// a shorter one; names that nothing matches stay as they are. Exporting goes from right to left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Renaming(pub BTreeMap<String, String>);

impl Renaming {
    /// Report rules that cannot be used.
    pub fn check(&self, problems: &mut Problems) {
        let mut names = BTreeSet::new();
        for (theirs, ours) in &self.0 {
            let field = format!("rename.{theirs}");
            if theirs.is_empty() || ours.is_empty() {
                problems.add(&field, "is an empty name", "");
            }
            let (left, right) = (theirs.matches('*').count(), ours.matches('*').count());
            if left > 1 || left != right {
                problems.add(&field, format_args!("= '{ours}' needs one * on both sides, or none"), "");
            }
            if !names.insert(ours) {
                problems.add(&field, format_args!("= '{ours}' is the right side of two rules"), "");
            }
        }
    }

    /// The name of a network's parameter for a name in the file.
    fn ours(&self, name: &str) -> String {
        rename(name, self.0.iter().map(|(theirs, ours)| (theirs.as_str(), ours.as_str())))
    }

    /// The name in the file for that of a network's parameter.
    fn theirs(&self, name: &str) -> String {
        rename(name, self.0.iter().map(|(theirs, ours)| (ours.as_str(), theirs.as_str())))
    }

    /// The tensors of a file as an imported network, whose heads answer `levels` in this order.
    ///
    /// # Errors
    /// [`Error::File`] when two tensors get one name, none of them is a floating-point tensor, or there are more levels than heads.
    pub(super) fn import(&self, path: &Path, tensors: &Tensors, levels: &[usize]) -> Result<Imported> {
        let mut notes = Vec::new();
        let mut parameters = Tensors::new();
        for (theirs, tensor) in tensors.iter() {
            let name = self.ours(theirs);
            if !tensor.is_floating_point() {
                notes.push(format!(
                    "'{theirs}' was left out: it holds {:?}, not floating-point numbers.",
                    tensor.kind()
                ));
            } else if parameters.contains(&name) {
                let problem = format_args!("'{theirs}' and another tensor are both called '{name}'");
                return Err(Error::file(path, problem, "change the option 'rename'"));
            } else {
                parameters.insert(name, tensor.shallow_clone());
            }
        }
        if parameters.is_empty() {
            return Err(Error::file(path, "holds no floating-point tensor", "is it the right file?"));
        }
        for (theirs, _) in
            self.0.iter().filter(|(theirs, _)| !tensors.names().any(|name| captured(theirs, name).is_some()))
        {
            notes.push(format!("The option 'rename' speaks of '{theirs}', which the file does not have."));
        }
        notes.push("The file does not say task, cell and curriculum; they are those that were asked for.".into());
        let heads = heads(&parameters);
        if levels.len() > heads.len() {
            let problem = format_args!("has {} heads, fewer than the {} levels given", heads.len(), levels.len());
            return Err(Error::file(path, problem, "change the option 'levels', or 'rename'"));
        }
        let bound = levels.iter().copied().zip(heads.iter().copied());
        let lesson = (!levels.is_empty()).then(|| Lesson::with_levels(bound));
        Ok(Imported { heads, parameters, lesson, notes, ..Imported::default() })
    }

    /// The parameters of a network under the names of the file.
    ///
    /// # Errors
    /// [`Error::File`] when two parameters get one name.
    pub(super) fn export(&self, path: &Path, parameters: &Tensors) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        for (ours, tensor) in parameters.iter() {
            let name = self.theirs(ours);
            if tensors.contains(&name) {
                let problem = format_args!("'{ours}' and another parameter would both be called '{name}'");
                return Err(Error::file(path, problem, "change the option 'rename'"));
            }
            tensors.insert(name, tensor.shallow_clone());
        }
        Ok(tensors)
    }
}

/// The heads that parameters are named for: `head.3.weight` is of head 3.
fn heads(parameters: &Tensors) -> Vec<usize> {
    let number = |name: &str| name.strip_prefix("head.")?.strip_suffix(".weight")?.parse().ok();
    let heads: BTreeSet<usize> = parameters.names().filter_map(number).collect();
    heads.into_iter().collect()
}

/// What the `*` of a pattern stands for in a name; empty for a whole name.
fn captured<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((head, tail)) => name.strip_prefix(head)?.strip_suffix(tail),
    }
}

fn rename<'a>(name: &str, rules: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let matching = rules.filter_map(|(from, to)| Some((from, to, captured(from, name)?)));
    let best = matching.max_by_key(|(from, ..)| (!from.contains('*'), from.len()));
    best.map_or_else(|| name.to_string(), |(_, to, text)| to.replacen('*', text, 1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use synfire::tch::{Kind, Tensor};

    /// The renaming of a plain PyTorch recurrent network with a readout.
    pub fn elman() -> Renaming {
        let rules = [
            ("rnn.weight_ih_l0", "input.weight"),
            ("rnn.weight_hh_l0", "recurrent.weight"),
            ("fc.*", "head.0.*"),
            ("fc.special", "special"),
        ];
        Renaming(rules.map(|(theirs, ours)| (theirs.to_string(), ours.to_string())).into())
    }

    /// Tensors as such a program names them.
    pub fn foreign() -> Tensors {
        Tensors::from([
            ("rnn.weight_ih_l0", Tensor::from_slice(&[1f32, 2.0]).reshape([2, 1])),
            ("rnn.weight_hh_l0", Tensor::from_slice(&[0.5f32, -0.0, f32::MIN_POSITIVE, 3.0]).reshape([2, 2])),
            ("fc.weight", Tensor::from_slice(&[7f64, 8.0]).reshape([1, 2])),
            ("fc.bias", Tensor::from_slice(&[9f64])),
        ])
    }

    #[test]
    fn names_go_there_and_back() {
        let path = Path::new("file");
        let imported = elman().import(path, &foreign(), &[4]).unwrap();
        let names = ["input.weight", "recurrent.weight", "head.0.weight", "head.0.bias"];
        assert_eq!(imported.parameters.names().collect::<Vec<_>>(), names);
        assert_eq!((imported.heads, imported.lesson), (vec![0], Some(Lesson::with_levels([(4, 0)]))));
        assert!(imported.notes[0].contains("'fc.special'"));
        assert!(elman().export(path, &imported.parameters).unwrap().same_bytes(&foreign()));
        assert_eq!(elman().ours("fc.special"), "special", "a whole name wins over a pattern");
        assert_eq!(elman().ours("other"), "other");
    }

    #[test]
    fn collisions_and_nonsense_are_refused() {
        let path = Path::new("file");
        let both = Renaming([("fc.weight".to_string(), "fc.bias".to_string())].into());
        assert!(both.import(path, &foreign(), &[]).unwrap_err().to_string().contains("both called 'fc.bias'"));
        assert!(both.export(path, &foreign()).unwrap_err().to_string().contains("both be called"));
        let levels = elman().import(path, &foreign(), &[2, 3]).unwrap_err().to_string();
        assert!(levels.contains("fewer than the 2 levels"), "{levels}");
        let counts = Tensors::from([("steps", Tensor::from_slice(&[3i64]).to_kind(Kind::Int64))]);
        assert!(elman().import(path, &counts, &[]).unwrap_err().to_string().contains("no floating-point"));
        let rules = [("a*", "b"), ("", "c"), ("d", "e"), ("f", "e")];
        let mut problems = Problems::under("format");
        Renaming(rules.map(|(a, b)| (a.to_string(), b.to_string())).into()).check(&mut problems);
        assert_eq!(problems.into_vec().len(), 3);
    }
}
