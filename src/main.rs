//! The one binary; what it does depends on the name it is called by.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator, and what it serves, ask for far more address space than they touch. In
    // huge pages a first touch makes 2 MiB resident: an idle stream that woke took 1.9 MB
    // instead of 75 KiB. A system without the call has no huge pages to switch off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    natter::cli::main(std::env::args_os())
}
