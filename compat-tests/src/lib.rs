//! Tests of statedict against real PyTorch, NumPy and safetensors.
