//! Random steps against the model.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

fn step() -> impl Strategy<Value = Step> {
    let filters = prop::sample::select(vec![
        "a", "a.b", "kv.k.2", "none", "*", "a.*", "*.*", "a.>", "kv.k.*", "*.b.>", ">",
    ]);
    let filters = prop::collection::vec(filters, 0..4);
    let part = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64, 0.0..1.3f64];
    prop_oneof![
        8 => (prop_oneof![9 => Just(0u64), 1 => 0u64..3000], 0usize..10, 0usize..2000, any::<bool>(), 0i64..20)
            .prop_map(|(gap, subject, payload, headers, later)| Step::Append {
                gap, subject, payload, headers, later
            }),
        3 => (1usize..700).prop_map(Step::Run),
        1 => (0u64..5000).prop_map(Step::Skip),
        5 => (part.clone(), any::<bool>()).prop_map(|(part, erase)| Step::Remove(part, erase)),
        2 => (0u64..9).prop_map(Step::RemoveEvery),
        1 => part.clone().prop_map(|part| Step::TruncateFront(part * part)),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        6 => (filters, part).prop_map(|(filters, part)| Step::Ask(filters, part)),
    ]
}

/// Compares a store with the model over random steps.
pub fn differential<H: Harness>(cases: u32, open: &mut dyn FnMut() -> H) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let open = std::cell::RefCell::new(open);
    let steps = prop::collection::vec(step(), 1..30);
    let checked = TestRunner::new(config).run(&steps, |steps| {
        let mut harness = (open.borrow_mut())();
        let mut model = Model::default();
        for step in &steps {
            check_step(&mut harness, &mut model, step);
        }
        Ok(())
    });
    if let Err(difference) = checked {
        panic!("{difference}");
    }
}
