//! The safetensors format for statedict: header read and rewritten in order.
