//! What of DeepSpeed is in every file that it saves, and does nothing.
//!
//! Importing it imports DeepSpeed, which whoever trains with it has installed; what that does is the
//! same whatever the file says.

use super::Entry;

pub(super) const ENTRIES: [&[Entry]; 1] = [&[
    Entry::filled("deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler", SCALER),
    Entry::filled(
        "deepspeed.runtime.fp16.loss_scaler.LossScaleConfig",
        "a data class of numbers; filled, it keeps what it is given",
    ),
    Entry::called("deepspeed.runtime.fp16.loss_scaler.LossScaleProfile", ENUMERATION),
    Entry::filled("deepspeed.runtime.fp16.loss_scaler.LossScaler", SCALER),
    Entry::called("deepspeed.runtime.zero.config.ZeroStageEnum", ENUMERATION),
    Entry::filled(
        "deepspeed.utils.tensor_fragment.fragment_address",
        "a data class of two numbers, a place in a flat tensor and a length",
    ),
]];

const SCALER: &str = "it keeps the numbers it is filled with, and multiplies by them when training";
const ENUMERATION: &str = "an enumeration, which looks up the number or text it is called with";
