//! Several layers of cells, one above the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::{Clock, Dynamics, Form, Setting};
use synfire::recurrence::{GatedForm, RateForm};
use synfire::tch::{Tensor, no_grad};
use synfire::{
    BuildContext, Cell, Component, Error, Network, Problems, Properties, Property, Registry, Result, Spec, Stream,
    Tensors,
};

/// Layers of any cells: the first is driven by the task's input, each other one by the rates of the layer below.
///
/// In every step the layers go one after the other, so that an input reaches the last layer in the step in which it is shown. Each
/// layer has input weights, states, noise and time constants of its own. With `read = "last"` heads read the last layer, and a drive
/// from rules, feedback or perturbations goes to it; with `read = "all"` both are those of all layers, the first layer's units
/// first. A single layer is that cell itself, with all its speed.
///
/// parameters and state: those of layer 1, 2, .. with `layer.1.`, `layer.2.`, .. before their names, for example
/// `layer.2.recurrent.weight`; gates likewise
///
/// Source: Graves, Mohamed & Hinton 2013, arXiv:1303.5778, without its skip connections. Networks of several layers of Khajehabdollahi
/// et al. 2024, arXiv:2309.12927, which has none in its figures, are made of its leaky cell. Differs: their code adds the projected
/// input of the task to every layer, which takes layers of one size and is surely not intended; here it drives the first layer alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stacked {
    /// The cells, the one that the input drives first.
    pub layers: Vec<Spec<dyn Cell>>,
    /// Which layers heads read.
    pub read: Layers,
}

/// Some of the layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// The last one.
    #[default]
    Last,
    /// All, side by side.
    All,
}

impl Default for Stacked {
    fn default() -> Self {
        Self { layers: vec![Spec::new("leaky-rnn"), Spec::new("leaky-rnn")], read: Layers::Last }
    }
}

impl Stacked {
    /// The cells that can be built.
    fn cells(&self, registry: &Registry) -> Vec<Box<dyn Cell>> {
        self.layers.iter().filter_map(|layer| registry.build(layer, "layers").ok()).collect()
    }
}

#[typetag::serde(name = "stacked")]
impl Cell for Stacked {
    fn check(&self, registry: &Registry, problems: &mut Problems) {
        problems.require(!self.layers.is_empty(), "layers", "empty", "at least one cell");
        for (index, layer) in self.layers.iter().enumerate() {
            let path = format!("layers[{index}]");
            if let Err(error) = registry.build(layer, &path) {
                for problem in error.into_problems(&path) {
                    problems.add(&problem.path, problem.problem, problem.remedy);
                }
            }
        }
    }

    /// What every layer does. Not the form of a rate network, even with one layer: whoever asks for that looks for weights by the
    /// names they have without a layer.
    fn provides(&self, registry: &Registry) -> Properties {
        let provided = self.cells(registry).into_iter().map(|cell| cell.provides(registry));
        let mut provides = provided.reduce(|all, own| &all & &own).unwrap_or_default();
        provides.remove(&Property::RateForm);
        provides
    }

    fn needs(&self, registry: &Registry) -> Properties {
        self.cells(registry).into_iter().flat_map(|cell| cell.needs(registry)).collect()
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let mut parameters = Tensors::new();
        let mut layers: Vec<Layer> = Vec::with_capacity(self.layers.len());
        let mut readout = None;
        for (index, spec) in self.layers.iter().enumerate() {
            let cell = context.registry.build(spec, &format!("cell.layers[{index}]"))?;
            let mut context = context.clone();
            if let Some(below) = layers.last() {
                context.task.inputs = (0..below.dynamics.units()).map(|unit| format!("unit {unit}")).collect();
            }
            // The first layer is drawn as it would be alone.
            let own = if index == 0 { stream.clone() } else { stream.child("layer").at(index as u64) };
            let network = cell.build(&context, &own)?;
            let layer = Layer::new(index, network.dynamics, &network.parameters, &context)?;
            for (name, tensor) in network.parameters.iter() {
                parameters.insert(format!("{}{name}", layer.prefix), tensor.shallow_clone());
            }
            layers.push(layer);
            readout = Some(network.readout);
        }
        let readout = readout.ok_or_else(|| Error::config("cell.layers", "is empty, must be at least one cell", ""))?;
        Ok(Network { parameters, dynamics: Box::new(Stack { layers, read: self.read }), readout })
    }
}

synfire::inventory::submit! { Component::cell::<Stacked>("stacked") }

/// One of the layers.
#[derive(Debug)]
struct Layer {
    /// Before the names of its parameters and states.
    prefix: String,
    dynamics: Box<dyn Dynamics>,
    /// Width of its projected input.
    width: usize,
}

impl Layer {
    fn new(index: usize, dynamics: Box<dyn Dynamics>, parameters: &Tensors, context: &BuildContext) -> Result<Self> {
        // The width does not depend on the conditions, but cells may need to know some.
        let setting = Setting { dt_ms: context.task.dt_ms, substeps: Some(1), ..Setting::default() };
        let projected = no_grad(|| {
            let prepared = dynamics.prepare(parameters, &setting)?;
            let silence = Tensor::f_zeros([1, 1, context.task.inputs.len() as i64], context.options())?;
            dynamics.project(&prepared, &silence)
        })?;
        let width = projected.size().last().copied().unwrap_or(0) as usize;
        Ok(Self { prefix: format!("layer.{}.", index + 1), dynamics, width })
    }

    /// Its own of all layers' tensors, by their own names.
    fn own(&self, tensors: &Tensors) -> Tensors {
        let own = |(name, tensor): (&str, &Tensor)| {
            Some((name.strip_prefix(&self.prefix)?.to_string(), tensor.shallow_clone()))
        };
        tensors.iter().filter_map(own).collect()
    }

    /// Put its own tensors among those of all layers.
    fn put(&self, own: &Tensors, all: &mut Tensors) {
        for (name, tensor) in own.iter() {
            all.insert(format!("{}{name}", self.prefix), tensor.shallow_clone());
        }
    }
}

/// What one layer takes its step from.
struct Before<'a> {
    layer: &'a Layer,
    prepared: &'a Tensors,
    state: &'a Tensors,
    projected: &'a Tensor,
    drive: Option<&'a Tensor>,
}

/// The equations of a [`Stacked`]; the projected input has the columns of all layers, of which all but the first layer's hold
/// noise alone.
#[derive(Debug)]
struct Stack {
    layers: Vec<Layer>,
    read: Layers,
}

impl Stack {
    /// The layers that heads read.
    fn read(&self) -> &[Layer] {
        match self.read {
            Layers::All => &self.layers,
            Layers::Last => &self.layers[self.layers.len().saturating_sub(1)..],
        }
    }

    /// The only layer. Its prepared tensors keep their names, since the fast path knows them by those.
    fn only(&self) -> Option<&Layer> {
        if let [only] = &self.layers[..] { Some(only) } else { None }
    }

    /// Let every layer take its step; `look` sees what each takes it from.
    fn walk(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
        mut look: impl FnMut(Before) -> Result<()>,
    ) -> Result<Tensors> {
        let mut next = Tensors::new();
        let mut below: Option<Tensor> = None;
        let (mut column, mut unit) = (0, 0);
        let first_driven = self.layers.len() - self.read().len();
        for (index, layer) in self.layers.iter().enumerate() {
            let own = if self.only().is_some() { prepared.shallow_clone() } else { layer.own(prepared) };
            let state = layer.own(state);
            let mut input = projected.f_narrow(1, column, layer.width as i64)?;
            column += layer.width as i64;
            if let Some(rates) = &below {
                input = input.f_add(&layer.dynamics.project(&own, &rates.f_unsqueeze(0)?)?.f_squeeze_dim(0)?)?;
            }
            let drive = match drive.filter(|_| index >= first_driven) {
                None => None,
                Some(drive) => {
                    let units = layer.dynamics.units() as i64;
                    unit += units;
                    Some(drive.f_narrow(1, unit - units, units)?)
                }
            };
            let drive = drive.as_ref();
            look(Before { layer, prepared: &own, state: &state, projected: &input, drive })?;
            let after = layer.dynamics.step(clock, &own, &state, &input, drive)?;
            below = Some(layer.dynamics.rates(&after)?);
            layer.put(&after, &mut next);
        }
        Ok(next)
    }
}

impl Dynamics for Stack {
    fn units(&self) -> usize {
        self.read().iter().map(|layer| layer.dynamics.units()).sum()
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        if let Some(only) = self.only() {
            return only.dynamics.prepare(&only.own(parameters), setting);
        }
        let mut prepared = Tensors::new();
        for layer in &self.layers {
            layer.put(&layer.dynamics.prepare(&layer.own(parameters), setting)?, &mut prepared);
        }
        Ok(prepared)
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        let mut state = Tensors::new();
        for layer in &self.layers {
            let own = if self.only().is_some() { prepared.shallow_clone() } else { layer.own(prepared) };
            layer.put(&layer.dynamics.initial_state(&own, batch, stream)?, &mut state);
        }
        Ok(state)
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        if let Some(only) = self.only() {
            return only.dynamics.project(prepared, inputs);
        }
        let Some((first, others)) = self.layers.split_first() else { return Ok(inputs.shallow_clone()) };
        let projected = first.dynamics.project(&first.own(prepared), inputs)?;
        let (time, batch, _) = projected.size3()?;
        let width: usize = others.iter().map(|layer| layer.width).sum();
        let nothing = Tensor::f_zeros([time, batch, width as i64], (projected.kind(), projected.device()))?;
        Ok(Tensor::f_cat(&[projected, nothing], 2)?)
    }

    fn noise(
        &self,
        prepared: &Tensors,
        time: usize,
        batch: usize,
        before: Option<&Tensor>,
        stream: &mut Stream,
    ) -> Result<Option<Tensor>> {
        if let Some(only) = self.only() {
            return only.dynamics.noise(prepared, time, batch, before, stream);
        }
        let mut first = 0;
        let draw = |layer: &Layer| {
            let width = layer.width as i64;
            let own = before.map(|before| before.f_narrow(1, first, width)).transpose()?;
            first += width;
            layer.dynamics.noise(&layer.own(prepared), time, batch, own.as_ref(), stream)
        };
        let drawn = self.layers.iter().map(draw).collect::<Result<Vec<_>>>()?;
        let Some(options) = drawn.iter().flatten().next().map(|noise| (noise.kind(), noise.device())) else {
            return Ok(None);
        };
        let silence = |layer: &Layer| Tensor::f_zeros([time as i64, batch as i64, layer.width as i64], options);
        let of_layers = drawn.into_iter().zip(&self.layers).map(|(noise, layer)| match noise {
            Some(noise) => Ok(noise),
            None => Ok(silence(layer)?),
        });
        Ok(Some(Tensor::f_cat(&of_layers.collect::<Result<Vec<_>>>()?, 2)?))
    }

    fn step(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        self.walk(clock, prepared, state, projected, drive, |_| Ok(()))
    }

    fn gates(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        let mut gates = Tensors::new();
        self.walk(clock, prepared, state, projected, drive, |Before { layer, prepared, state, projected, drive }| {
            layer.put(&layer.dynamics.gates(clock, prepared, state, projected, drive)?, &mut gates);
            Ok(())
        })?;
        Ok(gates)
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        let rates = |layer: &Layer| layer.dynamics.rates(&layer.own(state));
        match self.read() {
            [only] => rates(only),
            layers => Ok(Tensor::f_cat(&layers.iter().map(rates).collect::<Result<Vec<_>>>()?, -1)?),
        }
    }

    fn constant(&self, parameter: &str) -> bool {
        let own = |layer: &Layer| parameter.strip_prefix(&layer.prefix).map(|name| layer.dynamics.constant(name));
        self.layers.iter().find_map(own).unwrap_or(false)
    }

    fn bounded(&self, name: &str, parameter: &Tensor) -> Result<Option<Tensor>> {
        let own = |layer: &Layer| Some(layer.dynamics.bounded(name.strip_prefix(&layer.prefix)?, parameter));
        self.layers.iter().find_map(own).unwrap_or(Ok(None))
    }

    fn caution(&self, setting: &Setting) -> Option<String> {
        self.layers.iter().find_map(|layer| layer.dynamics.caution(setting))
    }

    fn form(&self, setting: &Setting) -> Form {
        let Some(only) = self.only() else { return Form::Opaque };
        match only.dynamics.form(setting) {
            Form::Rate(form) => Form::Rate(RateForm { state: format!("{}{}", only.prefix, form.state), ..form }),
            Form::Gated(form) => {
                let own = |name: String| format!("{}{name}", only.prefix);
                Form::Gated(GatedForm { hidden: own(form.hidden), cell: form.cell.map(own), ..form })
            }
            Form::Opaque => Form::Opaque,
        }
    }
}

#[cfg(test)]
mod tests;
