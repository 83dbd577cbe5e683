//! The ports of a connection, and the procedures loaded into each.

use super::{Module, PortId};
use std::collections::BTreeMap;

/// Most ports of one connection. Explorers use one.
const MAX_PORTS: usize = 64;

/// The ports of a connection.
#[derive(Default)]
pub(super) struct Ports {
    ports: BTreeMap<PortId, Port>,
}

/// One port.
pub(super) struct Port {
    pub(super) name: String,
    modules: Vec<(&'static Module, u32)>,
    procedures: Vec<(&'static Module, &'static str)>,
}

impl Ports {
    pub(super) fn is_full(&self) -> bool {
        self.ports.len() >= MAX_PORTS
    }

    pub(super) fn add(&mut self, id: PortId, name: String) {
        self.ports.insert(id, Port { name, modules: Vec::new(), procedures: Vec::new() });
    }

    pub(super) fn remove(&mut self, id: PortId) -> bool {
        self.ports.remove(&id).is_some()
    }

    pub(super) fn port(&mut self, id: PortId) -> Option<&mut Port> {
        self.ports.get_mut(&id)
    }
}

impl Port {
    /// The ids and names of a module's procedures. Loading it again gives the same.
    pub(super) fn load(&mut self, module: &'static Module) -> Vec<(u32, &'static str)> {
        let first = match self.modules.iter().find(|(loaded, _)| *loaded == module) {
            Some((_, first)) => *first,
            None => {
                let first = self.procedures.len() as u32 + 1;
                self.procedures.extend(module.procedures.iter().map(|procedure| (module, *procedure)));
                self.modules.push((module, first));
                first
            }
        };
        (first..).zip(module.procedures.iter().copied()).collect()
    }

    /// A module loaded earlier.
    pub(super) fn loaded(&self, name: &str) -> Option<&'static Module> {
        self.modules.iter().map(|(module, _)| *module).find(|module| module.name == name)
    }

    /// The procedure with this id, from 1.
    pub(super) fn procedure(&self, id: u32) -> Option<(&'static Module, &'static str)> {
        self.procedures.get((id as usize).checked_sub(1)?).copied()
    }
}
