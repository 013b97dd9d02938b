//! Two constants may share an address, and by that keys are told apart.

use treescope::ScopedKey;

const KEY: ScopedKey<u32> = ScopedKey::inherited();

fn main() {
    treescope::block_on(async |_| KEY.get());
}
