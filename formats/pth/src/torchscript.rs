//! TorchScript archives: which attributes of a scripted module are its parameters and buffers.
//!
//! The pickle holds attributes by name; the code beside it says what they are:
//! ```text
//! class Linear(Module):
//!   __parameters__ = ["weight", "bias", ]
//!   __buffers__ = []
//! ```
//! Source: `torch/csrc/jit/serialization/python_print.cpp`.

use std::collections::HashMap;

/// The classes of an archive's code, by module and name.
#[derive(Debug, Default)]
pub(crate) struct Code {
    classes: HashMap<(String, String), Members>,
}

/// The names that a class lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) parameters: Vec<String>,
    pub(crate) buffers: Vec<String>,
}

impl Code {
    /// Reads one file of code; `path` is its place below `code/`, such as `__torch__/model.py`.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        let module = path.trim_end_matches(".py").replace('/', ".");
        let mut class: Option<&mut Members> = None;
        for line in text.lines() {
            if let Some(name) = module_class(line) {
                let key = (module.clone(), name.to_string());
                class = Some(self.classes.entry(key).or_default());
            } else if !line.starts_with(' ') {
                class = None;
            } else if let Some(class) = &mut class {
                if let Some(list) = line.strip_prefix("  __parameters__ = ") {
                    class.parameters = names(list);
                } else if let Some(list) = line.strip_prefix("  __buffers__ = ") {
                    class.buffers = names(list);
                }
            }
        }
    }

    /// What a class lists; `None` for a class that is not a module.
    pub(crate) fn members(&self, module: &str, name: &str) -> Option<&Members> {
        self.classes.get(&(module.to_string(), name.to_string()))
    }
}

/// The name in `class NAME(Module):`.
fn module_class(line: &str) -> Option<&str> {
    line.strip_prefix("class ")?.strip_suffix("(Module):")
}

/// The texts of `["a", "b", ]`.
fn names(list: &str) -> Vec<String> {
    list.split('"').skip(1).step_by(2).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_list_their_parameters_and_buffers() {
        let mut code = Code::default();
        let text = "class Norm(Module):\n  __parameters__ = [\"weight\", \"bias\", ]\n  \
                    __buffers__ = [\"mean\", ]\n  weight : Tensor\nclass no_grad:\n  __buffers__ = [\"x\", ]\n";
        code.add("__torch__/nn/norm.py", text);
        let members = code.members("__torch__.nn.norm", "Norm").expect("a module");
        assert_eq!(members.parameters, ["weight", "bias"]);
        assert_eq!(members.buffers, ["mean"]);
        assert_eq!(code.members("__torch__.nn.norm", "no_grad"), None);
    }
}
