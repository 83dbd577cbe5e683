//! Who is near a place: members of islands, sorted into square cells, the cells hashed into a table.

use super::peers::{Place, Slot};

/// Cells along one side of a block. A block's cells lie side by side in the table: neighbours are mostly found in one cache line or two.
const BLOCK: i64 = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 3;
const CELLS_IN_BLOCK: usize = 64;

/// Beyond this, coordinates are taken as this: neighbours stay neighbours, and cell numbers stay exact.
const FAR: f64 = 1e9;

/// Items in square cells that are a little wider than the reach, so that whatever is within reach of a place is in its cell or
/// one of the eight around it.
///
/// The table is not much larger than the number of items, so distant cells share a bucket. Which ones depends on a key that
/// only the caller knows: otherwise peers could be placed so that all of them share one.
pub(super) struct Grid {
    key: [u64; 2],
    cell: f64,
    block_mask: u64,
    /// For each bucket the range of its items.
    buckets: Vec<Bucket>,
    /// By bucket; inside a bucket by rank.
    items: Vec<Item>,
    incoming: Vec<(u32, Item)>,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    start: u32,
    end: u32,
}

/// A member of an island.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Item {
    pub(super) place: Place,
    /// The slot of the island it was in when the grid was filled.
    pub(super) island: u32,
    /// That island's rank then.
    pub(super) rank: u32,
    /// The peer.
    pub(super) member: Slot,
}

impl Grid {
    /// `reach` in metres.
    pub(super) fn new(reach: f64, key: u64) -> Self {
        // A cell that is too wide is slow, never wrong; a quotient's rounding error is far below the margin.
        let cell = (reach * 1.001).max(1.0);
        let key = [mix(key), mix(!key) | 1];
        Self { key, cell, block_mask: 0, buckets: Vec::new(), items: Vec::new(), incoming: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.incoming.clear();
        self.items.clear();
        self.buckets.clear();
    }

    /// Adds an item; ranks must not fall. It is found after [`Grid::arrange`].
    pub(super) fn add(&mut self, item: Item) {
        self.incoming.push((0, item));
    }

    /// Sorts what was added into its buckets.
    pub(super) fn arrange(&mut self) {
        let blocks = (2 * self.incoming.len()).div_ceil(CELLS_IN_BLOCK).next_power_of_two();
        self.block_mask = blocks as u64 - 1;
        self.buckets.clear();
        self.buckets.resize(blocks * CELLS_IN_BLOCK, Bucket::default());
        let mut incoming = std::mem::take(&mut self.incoming);
        for (bucket, item) in &mut incoming {
            let cell = self.cell_of(item.place);
            *bucket = self.bucket(cell, self.hash((block_of(cell.0), block_of(cell.1))));
            self.buckets[*bucket as usize].end += 1;
        }
        let mut start = 0;
        for bucket in &mut self.buckets {
            let count = bucket.end;
            *bucket = Bucket { start, end: start };
            start += count;
        }
        self.items.clear();
        self.items.resize(incoming.len(), Item::default());
        for (bucket, item) in &incoming {
            let bucket = &mut self.buckets[*bucket as usize];
            self.items[bucket.end as usize] = *item;
            bucket.end += 1;
        }
        incoming.clear();
        self.incoming = incoming;
    }

    /// The buckets in which everything within reach of a place is. Some may be named twice.
    pub(super) fn around(&self, place: Place) -> [u32; 9] {
        let (x, z) = self.cell_of(place);
        // The nine cells lie in one block, or two, or four.
        let corner = (block_of(x - 1), block_of(z - 1));
        let (two_wide, two_deep) = (block_of(x + 1) != corner.0, block_of(z + 1) != corner.1);
        let mut hashes = [self.hash(corner); 4];
        if two_wide {
            hashes[1] = self.hash((corner.0 + 1, corner.1));
        }
        if two_deep {
            hashes[2] = self.hash((corner.0, corner.1 + 1));
        }
        if two_wide && two_deep {
            hashes[3] = self.hash((corner.0 + 1, corner.1 + 1));
        }
        let mut buckets = [0; 9];
        for (index, bucket) in buckets.iter_mut().enumerate() {
            let (x, z) = (x + index as i64 % 3 - 1, z + index as i64 / 3 - 1);
            let block = (block_of(x) - corner.0) + 2 * (block_of(z) - corner.1);
            *bucket = self.bucket((x, z), hashes[block as usize]);
        }
        buckets
    }

    /// How many items were sorted in.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items of a bucket by rank.
    pub(super) fn items(&self, bucket: u32) -> &[Item] {
        let Bucket { start, end } = self.buckets[bucket as usize];
        &self.items[start as usize..end as usize]
    }

    /// Calls `seen` with each item that has one of another island within reach, given as its square. Going through the table from
    /// end to end is much faster than looking from each member on its own.
    pub(super) fn each_in_sight(&self, squared_reach: f64, mut seen: impl FnMut(&Item)) {
        for item in &self.items {
            let foreign =
                |other: &Item| other.island != item.island && item.place.is_within(other.place, squared_reach);
            if self.around(item.place).iter().any(|&bucket| self.items(bucket).iter().any(foreign)) {
                seen(item);
            }
        }
    }

    /// Drops the items of a bucket that are not wanted any more.
    pub(super) fn retain(&mut self, bucket: u32, mut wanted: impl FnMut(&Item) -> bool) {
        let range = &mut self.buckets[bucket as usize];
        let mut kept = range.start;
        for index in range.start..range.end {
            let item = self.items[index as usize];
            if wanted(&item) {
                self.items[kept as usize] = item;
                kept += 1;
            }
        }
        range.end = kept;
    }

    fn cell_of(&self, place: Place) -> (i64, i64) {
        // NaN becomes cell 0: it is within reach of nothing anyway.
        let cell = |coordinate: f64| (coordinate.clamp(-FAR, FAR) / self.cell).floor() as i64;
        (cell(place.x), cell(place.z))
    }

    fn hash(&self, block: (i64, i64)) -> u64 {
        let block = ((block.0 as u64) << 32) | (block.1 as u64 & 0xffff_ffff);
        let product = u128::from(block ^ self.key[0]) * u128::from(self.key[1]);
        mix((product >> 64) as u64 ^ product as u64)
    }

    /// The bucket of a cell; `hash` is its block's.
    fn bucket(&self, cell: (i64, i64), hash: u64) -> u32 {
        // The high bits turn the block, so that the same corner of every block is not the same corner of the table.
        let corner = ((cell.0 & (BLOCK - 1)) | ((cell.1 & (BLOCK - 1)) << BLOCK_BITS)) as u64 ^ (hash >> 58);
        ((hash & self.block_mask) * CELLS_IN_BLOCK as u64 + corner) as u32
    }
}

fn block_of(cell: i64) -> i64 {
    cell >> BLOCK_BITS
}

/// Spreads every bit over all bits.
fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ (bits >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(places: &[Place], key: u64) -> Grid {
        let mut grid = Grid::new(64.0, key);
        for (index, &place) in places.iter().enumerate() {
            grid.add(Item { place, island: index as u32, rank: index as u32, member: 0 });
        }
        grid.arrange();
        grid
    }

    #[test]
    fn whatever_is_within_reach_is_found() {
        for scale in [1.0, 1e3, 1e6, 1e8] {
            let line = |start: f64| (0..40).map(move |step| start + 31.9 * f64::from(step));
            let places: Vec<Place> =
                line(-scale).flat_map(|x| line(scale / 3.0).map(move |z| Place { x, z })).collect();
            let grid = grid(&places, 7);
            for here in &places {
                let near = |there: &Place| here.squared_distance(*there) <= 64.0 * 64.0;
                let mut found: Vec<u32> = grid
                    .around(*here)
                    .iter()
                    .flat_map(|&bucket| grid.items(bucket))
                    .filter(|item| near(&item.place))
                    .map(|item| item.island)
                    .collect();
                found.sort_unstable();
                found.dedup();
                let expected: Vec<u32> =
                    (0..).zip(&places).filter(|(_, there)| near(there)).map(|(at, _)| at).collect();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn buckets_are_in_order_of_rank() {
        let grid = grid(&[Place::default(); 50], 1);
        let bucket = grid.around(Place::default())[4];
        assert!(grid.items(bucket).is_sorted_by_key(|item| item.rank));
        assert_eq!(grid.items(bucket).len(), 50);
    }

    #[test]
    fn cells_chosen_to_collide_do_not_under_another_key() {
        // Cells far apart that all share a bucket under key 1, in a table for ten thousand.
        let target = grid(&vec![Place::default(); 10_000], 1);
        let wanted = target.around(Place::default())[4];
        let candidates = (-1000..1000).flat_map(|x| (-1000..1000).map(move |z| (f64::from(x), f64::from(z))));
        let places: Vec<Place> = candidates
            .map(|(x, z)| Place { x: x * 128.2, z: z * 128.2 })
            .filter(|&place| target.around(place)[4] == wanted)
            .collect();
        assert!(places.len() > 60, "{}", places.len());
        let fullest = |key| {
            let grid = grid(&places, key);
            places.iter().map(|&place| grid.items(grid.around(place)[4]).len()).max()
        };
        assert!(fullest(2) < Some(8), "{:?}", fullest(2));
    }
}
