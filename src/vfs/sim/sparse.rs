//! A file's bytes, of which most are zero: pages of zeros take no memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PAGE;

/// Bytes of which most are zero.
#[derive(Clone, Default)]
pub(super) struct Sparse {
    pub(super) pages: BTreeMap<u64, Arc<[u8]>>,
    pub(super) len: u64,
}

impl Sparse {
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = self.len.saturating_sub(offset);
        let count = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < count {
            let at = offset + done as u64;
            let from = (at % PAGE as u64) as usize;
            let part = (PAGE - from).min(count - done);
            match self.pages.get(&(at / PAGE as u64)) {
                Some(page) => buffer[done..done + part].copy_from_slice(&page[from..from + part]),
                None => buffer[done..done + part].fill(0),
            }
            done += part;
        }
        count
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let from = (at % PAGE as u64) as usize;
            let part = (PAGE - from).min(bytes.len() - done);
            let number = at / PAGE as u64;
            let mut page = match self.pages.get(&number) {
                Some(page) => page.to_vec(),
                None => vec![0; PAGE],
            };
            page[from..from + part].copy_from_slice(&bytes[done..done + part]);
            self.put(number, page);
            done += part;
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    pub(super) fn zero(&mut self, offset: u64, len: u64) {
        let end = offset + len;
        let page = PAGE as u64;
        let inner = offset.div_ceil(page)..end / page;
        if inner.is_empty() {
            self.write(offset, &vec![0; len as usize]);
            return;
        }
        self.write(offset, &vec![0; (inner.start * page - offset) as usize]);
        self.write(
            inner.end * page,
            &vec![0; (end - inner.end * page) as usize],
        );
        let whole: Vec<u64> = self.pages.range(inner).map(|(number, _)| *number).collect();
        for number in whole {
            self.pages.remove(&number);
        }
        self.len = self.len.max(end);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let old = self.len;
            self.zero(len, old - len);
        }
        self.len = len;
    }

    pub(super) fn put(&mut self, number: u64, page: Vec<u8>) {
        if is_zero(&page) {
            self.pages.remove(&number);
        } else {
            self.pages.insert(number, page.into());
        }
    }
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; PAGE] = [0; PAGE];
    bytes.chunks(PAGE).all(|part| part == &ZEROS[..part.len()])
}
