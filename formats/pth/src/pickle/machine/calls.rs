//! Opcodes that bring something in, call it, or refer to what is outside the pickle.

use statedict_core::Fault;

use super::Machine;
use crate::pickle::graph::{
    Compound, Global, GlobalId, Kind, Node, NodeId, OpPlace, Reference, Slot, Value,
};
use crate::pickle::opcode::{self, Extent, Op};

/// The longest module or class name, in bytes: names are looked at again for every use of them.
const MAX_NAME: usize = 1024;

/// Globals whose names are kept decoded; pickles of models have a handful.
const FIRST_NAMES: usize = 64;

impl Machine<'_> {
    pub(super) fn call(&mut self, op: Op) -> Result<(), Fault> {
        match op.code {
            opcode::GLOBAL => {
                let global = self.global_line(op)?;
                let node = self.global(global);
                self.push_slot(node, self.now);
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop(op)?.slot, self.pop(op)?.slot);
                let text = |slot: Slot| match self.graph.value(slot.node) {
                    Value::Text(text) => {
                        self.check_name(op, self.graph.op(text).argument)?;
                        Ok(text)
                    }
                    _ => Err(self.fault(op, "needs two texts")),
                };
                let global = Global::Texts { module: text(module)?, name: text(name)? };
                let now = self.now;
                self.graph.stack_globals.push((now, module, name));
                let node = self.global(global);
                self.push_slot(node, module.start);
            }
            opcode::INST => {
                let global = self.global_line(op)?;
                let node = self.global(global);
                let callable = Slot { node, pushed_by: self.now, start: self.now };
                let (args, mark) = self.pop_to_mark(op)?;
                let args = self.tuple_of(&args);
                self.instance(callable, args, mark);
            }
            opcode::OBJ => {
                let (values, mark) = self.pop_to_mark(op)?;
                let Some((callable, args)) = values.split_first() else {
                    return Err(self.fault(op, "needs a class above the mark"));
                };
                let args = self.tuple_of(args);
                self.instance(*callable, args, mark);
            }
            _ => {
                if op.code == opcode::NEWOBJ_EX {
                    self.pop(op)?;
                }
                let (args, callable) = (self.pop(op)?.slot, self.pop(op)?.slot);
                if op.code == opcode::NEWOBJ_EX {
                    let now = self.now;
                    self.graph.keyword_instances.push((now, callable));
                }
                self.instance(callable, args.node, callable.start);
            }
        }
        Ok(())
    }

    fn global_line(&self, op: Op) -> Result<Global, Fault> {
        let mut lines = op.argument.of(&self.graph.pickle).iter();
        let Some(len) = lines.position(|byte| *byte == b'\n') else {
            return Err(self.fault(op, "names no module and name"));
        };
        self.check_name(op, op.argument)?;
        let Extent { start, end } = op.argument;
        let feed = start + len as u32;
        let module = Extent { start, end: feed };
        Ok(Global::Lines { module, name: Extent { start: feed + 1, end } })
    }

    fn check_name(&self, op: Op, name: Extent) -> Result<(), Fault> {
        if name.of(&self.graph.pickle).len() <= MAX_NAME {
            return Ok(());
        }
        let what =
            format!("a module or class has a name of over {MAX_NAME} bytes, the reader's limit");
        Err(Fault::too_large(u64::from(op.whole.start), what))
    }

    fn global(&mut self, global: Global) -> NodeId {
        let id = GlobalId(self.graph.globals.len() as u32);
        self.graph.globals.push(global);
        if self.graph.first_names.len() < FIRST_NAMES {
            let names = self.graph.names(global);
            let names = names.map(|(module, name)| (module.into_owned(), name.into_owned()));
            self.graph.first_names.push(names);
        }
        self.node(Node::Global(id))
    }

    fn instance(&mut self, called: Slot, args: NodeId, start: OpPlace) {
        let kind = Kind::Call { callable: called.node, args };
        let compound = Compound { kind, start: called.start, ..Compound::default() };
        self.push_compound(compound, start);
    }

    pub(super) fn persistent(&mut self, op: Op) -> Result<(), Fault> {
        let (id, start) = match op.code {
            opcode::PERSID => (self.node(Node::Text(self.now)), self.now),
            _ => {
                let slot = self.pop(op)?.slot;
                (slot.node, slot.start)
            }
        };
        let op = self.now;
        self.graph.persistent.push(Reference { id, start, op });
        if self.last_spelled_out.is_none_or(|last| id.0 > last.0) {
            self.last_spelled_out = Some(id);
            self.spelled_out += 1;
        }
        let node = self.node(Node::Persistent(id));
        self.push_slot(node, start);
        Ok(())
    }
}
