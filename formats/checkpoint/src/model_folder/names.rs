//! What the weights of a model are called in another format.

use statedict_core::{Format, ShardNames};

use crate::model_folder::series::series_of;

/// What comes before the number and the extension in the names of a model's new files; `None` for
/// formats without such names.
///
/// Libraries look for names of their own, such as `diffusion_pytorch_model` and `adapter_model`,
/// which stay; `model` of safetensors is `pytorch_model` of pickles, also before a variant:
/// `model.fp16`.
pub(crate) fn stem_in(file: &str, from: &dyn Format, to: &dyn Format) -> Option<String> {
    let ShardNames { stem: new, .. } = to.facts().shard_names?;
    let Some(ShardNames { stem: usual, .. }) = from.facts().shard_names else {
        return Some(new.to_string());
    };
    let own = match series_of(file) {
        Some((series, _)) => series.stem,
        None => file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_string(),
    };
    let variant = own.strip_prefix(usual).filter(|it| it.is_empty() || it.starts_with('.'));
    Some(variant.map(|variant| format!("{new}{variant}")).unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format_called;

    #[test]
    fn names_of_libraries_stay_and_the_usual_one_is_the_formats() {
        let check = |file: &str, from: &str, to: &str, expected: Option<&str>| {
            let format = |name| format_called(name).expect("a format");
            let found = stem_in(file, format(from), format(to));
            assert_eq!(found.as_deref(), expected, "{file} to {to}");
        };
        check("model.safetensors", "safetensors", "pth", Some("pytorch_model"));
        check("model.fp16.safetensors", "safetensors", "pth", Some("pytorch_model.fp16"));
        check("model-00001-of-00002.safetensors", "safetensors", "pth", Some("pytorch_model"));
        check("pytorch_model.bin", "pth", "safetensors", Some("model"));
        check("adapter_model.bin", "pth", "safetensors", Some("adapter_model"));
        let diffusion = "diffusion_pytorch_model";
        check("diffusion_pytorch_model.safetensors", "safetensors", "pth", Some(diffusion));
        check("diffusion_pytorch_model.safetensors", "safetensors", "safetensors", Some(diffusion));
        check("models.bin", "pth", "safetensors", Some("models"));
        check("model.npz", "npz", "pth", Some("pytorch_model"));
        check("model.safetensors", "safetensors", "npz", None);
    }
}
