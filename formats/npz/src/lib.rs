//! NumPy npz archives for statedict: member names change, member bytes do not.
