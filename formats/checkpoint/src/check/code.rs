//! The code of TorchScript archives, which can read and write files when it runs.

use statedict_core::Finding;

/// Operators that touch files, as the code spells them, and what they do.
///
/// Source: the operators of PyTorch and torchvision that take a file's name.
const OPERATORS: [(&str, &str); 8] = [
    ("torch.save(", "it writes a file"),
    ("torch.from_file(", "it reads or changes a file"),
    ("ops.aten.save(", "it writes a file"),
    ("ops.aten.from_file(", "it reads or changes a file"),
    ("ops.image.read_file(", "it reads a file"),
    ("ops.image.write_file(", "it writes a file"),
    ("ops.torchaudio.load(", "it reads a file"),
    ("ops.torchaudio.save(", "it writes a file"),
];

/// What the code in a file of an archive would do beside computing.
pub(super) fn check(name: &str, text: &[u8]) -> Vec<Finding> {
    let text = String::from_utf8_lossy(text);
    let mut findings = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        for (operator, why) in OPERATORS {
            if code.contains(operator) {
                let what = format!("TorchScript calls {}", operator.trim_end_matches('('));
                let why = format!("{why} when the model is loaded or used");
                findings.push(Finding::dangerous(format!("{name} line {}", i + 1), what, why));
            }
        }
    }
    findings
}
