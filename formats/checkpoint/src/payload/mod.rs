//! What is next to the tensors, as types of the caller's own.

mod deserializer;
mod numpy;
mod view;

use serde::de::DeserializeOwned;
use statedict_core::Fault;
use statedict_core::objects::{ObjectId, Objects};

use crate::checkpoint::Checkpoint;
use crate::error::{Action, Cause, Error};

use deserializer::{Budget, PayloadDeserializer};
use view::{Node, View};

impl Checkpoint {
    /// What the file holds as a type of the caller's own, by `serde`; nothing in it is run.
    ///
    /// Mappings become maps and structs; lists, tuples and sets become sequences; instances of
    /// classes (`argparse.Namespace`) become what their attributes say, or what they are made of
    /// (enums, named tuples); configurations of OmegaConf become what they hold, scalars of NumPy
    /// numbers, paths texts, and classes and functions their names (`torch.float32`).
    /// Fields that the type does not have are passed over, whatever they are.
    ///
    /// ```no_run
    /// # use std::path::Path;
    /// # use serde::Deserialize;
    /// # use statedict_checkpoint::Checkpoint;
    /// #[derive(Deserialize)]
    /// struct Training {
    ///     epoch: u32,
    ///     args: Args,
    /// }
    ///
    /// #[derive(Deserialize)]
    /// struct Args {
    ///     lr: f64,
    ///     batch_size: Option<u32>,
    /// }
    ///
    /// let checkpoint = Checkpoint::open(Path::new("checkpoint.pth.tar"))?;
    /// let training: Training = checkpoint.payload_as()?;
    /// # Ok::<(), statedict_checkpoint::Error>(())
    /// ```
    ///
    /// # Errors
    /// The format holds nothing but tensors, or what is there is of another type; the error says
    /// where. A tensor is of no type: [`Checkpoint::read`] reads it.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.payload_at("")
    }

    /// The same for what is at a path of keys and list indices, joined by `/`:
    /// `hyper_parameters`, `optimizer/param_groups/0`.
    ///
    /// # Errors
    /// As [`payload_as`](Checkpoint::payload_as), and if the path leads to nothing.
    pub fn payload_at<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, self.path(), cause);
        let Some(objects) = self.objects()? else {
            let what = format!("a {} checkpoint has no payload beside its tensors", self.kind());
            return Err(failed(Fault::Unsupported(what).into()));
        };
        let id = find(&objects, objects.root, path).ok_or_else(|| {
            failed(Cause::Mismatch(format!("nothing at '{path}' in the payload")))
        })?;
        let budget = Budget::of(&objects);
        let deserializer = PayloadDeserializer::new(Node { objects: &objects, id }, &budget);
        T::deserialize(deserializer).map_err(|error| {
            let place = error.path(path);
            let place = if place.is_empty() { String::new() } else { format!(" at '{place}'") };
            failed(Cause::Mismatch(format!("payload{place}: {error}")))
        })
    }
}

/// What a path leads to; a key may have slashes of its own, and the longest that fits is taken.
fn find(objects: &Objects, id: ObjectId, path: &str) -> Option<ObjectId> {
    let rest = path.trim_matches('/');
    if rest.is_empty() {
        return Some(id);
    }
    match (Node { objects, id }).view() {
        View::Map(entries) => {
            let fitting = entries.iter().filter(|(key, _)| {
                let after = rest.strip_prefix(key.as_str());
                after.is_some_and(|after| after.is_empty() || after.starts_with('/'))
            });
            let (key, id) = fitting.max_by_key(|(key, _)| key.as_str().len())?;
            find(objects, *id, &rest[key.as_str().len()..])
        }
        View::Sequence(items) => {
            let (index, rest) = rest.split_once('/').unwrap_or((rest, ""));
            find(objects, *items.get(index.parse::<usize>().ok()?)?, rest)
        }
        _ => None,
    }
}
