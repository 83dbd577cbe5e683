//! Which members of an island still hang together.

use super::bounds::Bounds;
use super::peers::{Place, Slot};

/// No member, no group.
const NONE: u32 = u32::MAX;

/// Up to this many members, comparing all pairs is faster than sorting them into cells.
const FEW: usize = 12;

/// A cell's width as a part of the reach: two places in one cell are always within reach, with one per cent to spare for rounding.
const CELL: f64 = 0.7;

/// Cells within reach of a cell: two to each side.
const AROUND: usize = 2;

/// Groups members that are within reach of each other, by way of others. Holds only memory to use again.
#[derive(Default)]
pub(super) struct Grouper {
    /// By cell: the member that came last.
    last_in_cell: Vec<u32>,
    /// By member: the one before it in its cell.
    previous_in_cell: Vec<u32>,
    /// By member: the member after it in its group.
    next_in_group: Vec<u32>,
    /// By member: a group it was put into; see `Group::joined`.
    group_of: Vec<u32>,
    groups: Vec<Group>,
    touched: Vec<u32>,
}

/// Groups are numbered as they are founded; the recorded order of groups is the order of their numbers.
struct Group {
    first: u32,
    last: u32,
    len: usize,
    /// The group this one was appended to, or itself.
    joined: u32,
}

/// Cells over an island's box, with an empty margin as wide as the reach.
struct Cells {
    corner: Place,
    width: f64,
    columns: usize,
    rows: usize,
}

impl Grouper {
    /// The groups, when there is more than one: the largest first (the first of equals), then the others in order.
    ///
    /// In the recorded order: members are taken one by one; each joins the first group it is within `reach` of, and the other
    /// groups within its reach are appended to that one.
    pub(super) fn split(
        &mut self,
        members: &[Slot],
        places: &[Place],
        bounds: &Bounds,
        reach: f64,
    ) -> Option<Vec<Vec<Slot>>> {
        if bounds.all_within(reach * reach) {
            return None;
        }
        let cells = (members.len() > FEW).then(|| Cells::over(bounds, reach, members.len())).flatten();
        if self.group(members, places, reach, cells) < 2 {
            return None;
        }
        let founders = self.groups.iter().enumerate().filter(|(number, group)| group.joined == *number as u32);
        let mut split: Vec<Vec<Slot>> = founders.map(|(_, group)| self.members_of(group, members)).collect();
        let mut largest = 0;
        for (index, group) in split.iter().enumerate() {
            if group.len() > split[largest].len() {
                largest = index;
            }
        }
        split[..=largest].rotate_right(1);
        Some(split)
    }

    fn members_of(&self, group: &Group, members: &[Slot]) -> Vec<Slot> {
        let mut found = Vec::with_capacity(group.len);
        let mut index = group.first;
        while index != NONE {
            found.push(members[index as usize]);
            index = self.next_in_group[index as usize];
        }
        found
    }

    /// Groups the members and returns how many groups there are.
    fn group(&mut self, members: &[Slot], places: &[Place], reach: f64, cells: Option<Cells>) -> usize {
        let squared_reach = reach * reach;
        self.groups.clear();
        self.group_of.clear();
        self.next_in_group.clear();
        self.next_in_group.resize(members.len(), NONE);
        self.previous_in_cell.clear();
        self.last_in_cell.clear();
        if let Some(cells) = &cells {
            self.last_in_cell.resize(cells.columns * cells.rows, NONE);
        }
        let mut alive = 0;
        for (index, &slot) in members.iter().enumerate() {
            let place = places[slot as usize];
            let near = |other: usize| place.is_within(places[members[other] as usize], squared_reach);
            self.touched.clear();
            match &cells {
                None => {
                    for other in 0..index {
                        self.touch(other, near);
                    }
                }
                Some(cells) => {
                    let cell = cells.of(place);
                    self.touch_around(cell, cells.columns, alive, near);
                    self.previous_in_cell.push(self.last_in_cell[cell]);
                    self.last_in_cell[cell] = index as u32;
                }
            }
            alive = alive + 1 - self.touched.len();
            self.put(index as u32);
        }
        alive
    }

    /// Notes the groups within reach of a place in that cell. All in one cell are in one group.
    fn touch_around(&mut self, cell: usize, columns: usize, alive: usize, near: impl Fn(usize) -> bool + Copy) {
        let own = self.last_in_cell[cell];
        if own != NONE {
            let group = self.group_now(own);
            self.touched.push(group);
        }
        let corner = cell - AROUND * columns - AROUND;
        for row in 0..=2 * AROUND {
            for column in 0..=2 * AROUND {
                if self.touched.len() == alive {
                    return;
                }
                let mut other = self.last_in_cell[corner + row * columns + column];
                if other == NONE {
                    continue;
                }
                let group = self.group_now(other);
                if self.touched.contains(&group) {
                    continue;
                }
                while other != NONE && !self.touch(other as usize, near) {
                    other = self.previous_in_cell[other as usize];
                }
            }
        }
    }

    /// Notes the group of an earlier member if that one is near.
    fn touch(&mut self, other: usize, near: impl Fn(usize) -> bool) -> bool {
        let group = self.group_now(other as u32);
        let new = !self.touched.contains(&group) && near(other);
        if new {
            self.touched.push(group);
        }
        new
    }

    /// The group a member is in by now.
    fn group_now(&mut self, member: u32) -> u32 {
        let mut group = self.group_of[member as usize];
        while self.groups[group as usize].joined != group {
            group = self.groups[group as usize].joined;
        }
        self.group_of[member as usize] = group;
        group
    }

    /// Puts a member into the first of the touched groups and appends the others to it; or founds a group.
    fn put(&mut self, member: u32) {
        self.touched.sort_unstable();
        let Some((&group, others)) = self.touched.split_first() else {
            let number = self.groups.len() as u32;
            self.groups.push(Group { first: member, last: member, len: 1, joined: number });
            self.group_of.push(number);
            return;
        };
        self.group_of.push(group);
        let first = &mut self.groups[group as usize];
        self.next_in_group[first.last as usize] = member;
        first.last = member;
        first.len += 1;
        for &other in others {
            let other = &mut self.groups[other as usize];
            other.joined = group;
            let (head, last, len) = (other.first, other.last, other.len);
            let first = &mut self.groups[group as usize];
            self.next_in_group[first.last as usize] = head;
            first.last = last;
            first.len += len;
        }
    }
}

impl Cells {
    /// `None` where cells would be wrong (absurd coordinates, a reach of nothing) or wasteful (few members in a wide box).
    fn over(bounds: &Bounds, reach: f64, members: usize) -> Option<Self> {
        let width = reach * CELL;
        if bounds.is_wild() || !width.is_finite() || width < 1e-3 {
            return None;
        }
        let (along, deep) = bounds.extent();
        let count = |length: f64| (length / width).floor() + 1.0 + 2.0 * AROUND as f64;
        if count(along) * count(deep) > (16 * members + 4096) as f64 {
            return None;
        }
        Some(Self { corner: bounds.low(), width, columns: count(along) as usize, rows: count(deep) as usize })
    }

    fn of(&self, place: Place) -> usize {
        let cell = |coordinate: f64, corner: f64| ((coordinate - corner) / self.width).floor() as usize + AROUND;
        cell(place.z, self.corner.z) * self.columns + cell(place.x, self.corner.x)
    }
}
