//! Memory for tables that are read at random places, on large pages where the system has them.
//!
//! A table of some megabytes on pages of 4 KB costs a walk through the page tables at nearly every look-up, twice that
//! in a virtual machine. With pages of 2 MB encoding was faster by some percent (`encode` in benches/peers,
//! with the advice and without).

use memmap2::MmapMut;

/// Bytes, zero at first. Nothing is said of where they lie.
pub(crate) struct Pages(Place);

enum Place {
    Map(MmapMut),
    /// Where no memory can be mapped.
    Heap(Vec<u8>),
}

impl Pages {
    /// So many zeros.
    pub(crate) fn zeros(length: usize) -> Self {
        let Ok(map) = MmapMut::map_anon(length) else { return Self(Place::Heap(vec![0; length])) };
        // Without large pages it is slower, and as right. (Miri has none.)
        #[cfg(all(target_os = "linux", not(miri)))]
        let _ = map.advise(memmap2::Advice::HugePage);
        Self(Place::Map(map))
    }

    #[inline(always)]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Map(map) => map,
            Place::Heap(bytes) => bytes,
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Place::Map(map) => map,
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Clone for Pages {
    fn clone(&self) -> Self {
        let mut pages = Self::zeros(self.bytes().len());
        pages.bytes_mut().copy_from_slice(self.bytes());
        pages
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("bytes", &self.bytes().len()).finish_non_exhaustive()
    }
}
