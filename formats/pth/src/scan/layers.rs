//! Recurrent modules, which make names for as many layers as the state says that fills them.
//!
//! Source: `RNNBase.__setstate__` in `torch/nn/modules/rnn.py`.

use statedict_core::Fault;

use super::care::Care;
use super::imports::Harm;
use super::machine::Machine;
use super::value::Value;
use crate::pickle::opcode;

/// The attribute that says how many layers a module has.
const LAYERS: &str = "num_layers";

/// The most layers of one module; real ones have some, and each takes a kilobyte.
const MAX_LAYERS: i64 = 1 << 10;

const ENDLESS: &str = "it makes names for layers without measure";

/// What a pickle says of layers, once it has brought a recurrent module in.
#[derive(Default)]
pub(super) struct Layers {
    /// True once a recurrent module is brought in.
    pub(super) is_there: bool,
    /// How often a number of layers is set that is small.
    small: u32,
    /// How many recurrent modules are filled.
    filled: u32,
    /// True if something else is set for a number of layers, or a module is filled with no dict.
    is_wrong: bool,
}

impl Machine<'_> {
    /// Looks at the keys and values that are set in a dict.
    pub(super) fn note_layers(&mut self, items: &[Value]) -> Result<(), Fault> {
        if !self.layers.is_there {
            return Ok(());
        }
        for pair in items.chunks_exact(2) {
            let [key @ Value::Literal { code, at, .. }, value] = *pair else { continue };
            if !opcode::is_text(code) || self.is_long_key(at)? {
                continue;
            }
            if self.text(key)?.is_none_or(|text| text != LAYERS) {
                continue;
            }
            match self.integer(value)? {
                Some(..=MAX_LAYERS) => self.layers.small += 1,
                _ => self.layers.is_wrong = true,
            }
        }
        Ok(())
    }

    /// Looks at what a value is filled with.
    pub(super) fn note_filled(&mut self, target: Value, state: Value) {
        let Value::Returned(place) = target else { return };
        let import = self.imports.get_index(place as usize);
        if import.is_some_and(|(_, import)| import.care == Care::Layers) {
            self.layers.filled += 1;
            self.layers.is_wrong |= !matches!(state, Value::Dict { .. });
        }
    }

    /// Notes a recurrent module that may be filled without a small number of layers of its own.
    pub(super) fn check_layers(&mut self) {
        let Layers { small, filled, is_wrong, .. } = self.layers;
        if filled == 0 || !(is_wrong || filled > small) {
            return;
        }
        let place = self.imports.values().position(|import| import.care == Care::Layers);
        if let Some(place) = place {
            let at = self.imports.get_index(place).map_or(0, |(_, import)| import.at as u32);
            let what = format!("fills {}", self.named(place as u32));
            self.misuse_at(at, opcode::BUILD, place as u32, what, Harm::Runs(ENDLESS));
        }
    }
}
