//! `roles`.

use std::fmt;
use std::str::FromStr;

/// What a process does of a region's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It serves sessions and rooms.
    Edge,
    /// It groups peers into islands.
    Archipelago,
}

/// A text that is no [`Role`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is edge or archipelago")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "edge" => Ok(Self::Edge),
            "archipelago" => Ok(Self::Archipelago),
            _ => Err(RoleError),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edge => "edge",
            Self::Archipelago => "archipelago",
        })
    }
}

/// All that a process does: one role or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Whether it serves sessions and rooms.
    pub edge: bool,
    /// Whether it groups peers into islands.
    pub archipelago: bool,
}

impl Roles {
    /// These roles; `None` for none.
    pub fn of(roles: &[Role]) -> Option<Self> {
        let has = |role| roles.contains(&role);
        (!roles.is_empty()).then(|| Self { edge: has(Role::Edge), archipelago: has(Role::Archipelago) })
    }

    /// Whether nothing is left to other processes.
    pub fn are_all(self) -> bool {
        self.edge && self.archipelago
    }

    /// Each of them.
    pub fn list(self) -> Vec<Role> {
        let held = [(self.edge, Role::Edge), (self.archipelago, Role::Archipelago)];
        held.into_iter().filter_map(|(is_held, role)| is_held.then_some(role)).collect()
    }
}

impl Default for Roles {
    /// Both: one process is a whole region.
    fn default() -> Self {
        Self { edge: true, archipelago: true }
    }
}
