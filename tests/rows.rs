//! Rows for training against their oracle, and their order.

use ciyuan::Error;
use ciyuan::shard::{Corpus, Order, Row, Rows, ShardWriter, naive_rows};
use ciyuan::vocab::Fingerprint;
use proptest::prelude::*;

/// Writes each list of documents as a shard.
fn corpus(folder: &std::path::Path, shards: &[Vec<Vec<u32>>]) -> Corpus {
    let paths: Vec<_> = (0..shards.len()).map(|number| folder.join(format!("{number}.shard"))).collect();
    for (path, documents) in paths.iter().zip(shards) {
        let mut writer = ShardWriter::create(path, 300, Some(299), Fingerprint([7; 16])).unwrap();
        for ids in documents {
            writer.push(ids, 0).unwrap();
        }
        writer.finish().unwrap();
    }
    Corpus::from_paths(&paths).unwrap().unwrap()
}

fn read_all(rows: &Rows<'_>) -> Vec<Row> {
    let mut row = Row { ids: vec![1, 2, 3], ends: vec![3] };
    let read = |number| {
        rows.read(number, &mut row).unwrap();
        row.clone()
    };
    (0..rows.count()).map(read).collect()
}

fn shards() -> impl Strategy<Value = Vec<Vec<Vec<u32>>>> {
    let document = prop::collection::vec(0u32..299, 0..40);
    prop::collection::vec(prop::collection::vec(document, 0..12), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn as_with_all_documents_in_memory(shards in shards(), context in 1usize..20) {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), &shards);
        let ended: Vec<Vec<Vec<u32>>> = shards
            .iter()
            .map(|documents| documents.iter().map(|ids| [&ids[..], &[299]].concat()).collect())
            .collect();
        prop_assert_eq!(read_all(&Rows::documents(&corpus)), naive_rows(&ended, None, false));
        let windows = naive_rows(&ended, Some(context), false);
        match Rows::windows(&corpus, context) {
            Ok(rows) => prop_assert_eq!(read_all(&rows), windows),
            Err(error) => {
                let too_short = matches!(error, Error::TooShort { .. });
                prop_assert!(too_short && windows.is_empty(), "{}", error);
            }
        }
        let packed = Rows::packed(&corpus, context).unwrap();
        let rows = read_all(&packed);
        prop_assert_eq!(&rows, &naive_rows(&ended, Some(context), true));
        // Every id stands in one row, no row is too long, and parts are whole pieces.
        let sorted = |mut ids: Vec<u32>| {
            ids.sort_unstable();
            ids
        };
        prop_assert_eq!(
            sorted(rows.iter().flat_map(|row| row.ids.clone()).collect()),
            sorted(ended.concat().concat())
        );
        for row in &rows {
            prop_assert!(row.ids.len() <= context + 1 && row.ends.last() == Some(&row.ids.len()));
            let mut start = 0;
            for &end in &row.ends {
                let part = &row.ids[start..end];
                // Inside a part no document ends but at its end.
                prop_assert!(!part.is_empty() && !part[..part.len() - 1].contains(&299));
                start = end;
            }
        }
    }

    /// The machines together see every row of an epoch once.
    #[test]
    fn machines_share_the_rows(shards in shards(), seed: u64, world in 1u64..5, epoch in 0u64..3) {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(folder.path(), &shards);
        let rows = Rows::documents(&corpus);
        prop_assume!(rows.count() > 0);
        let mut seen = Vec::new();
        for rank in 0..world {
            let order = Order::new(rows.count(), seed, rank, world).unwrap();
            // Straight to the epoch, a step early, without those before.
            let first = (epoch * rows.count() / world).saturating_sub(1);
            let steps = (first..).map(|step| order.at(step)).take_while(|&(at, _)| at <= epoch);
            seen.extend(steps.filter(|&(at, _)| at == epoch).map(|(_, row)| row));
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rows.count()).collect::<Vec<_>>());
    }
}

#[test]
fn rows_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), &[vec![vec![1, 2, 3]]]);
    let mut row = Row::default();
    for rows in [Rows::windows(&corpus, 3).unwrap(), Rows::documents(&corpus), Rows::packed(&corpus, 3).unwrap()] {
        assert_eq!(rows.count(), 1);
        rows.read(0, &mut row).unwrap();
        assert_eq!(row, Row { ids: vec![1, 2, 3, 299], ends: vec![4] });
        assert!(matches!(rows.read(1, &mut row), Err(Error::Limit { value: 1, max: 0, .. })));
    }
    assert!(matches!(Rows::windows(&corpus, 4), Err(Error::TooShort { tokens: 4, needed: 5 })));
    for rows in [Rows::windows(&corpus, 0), Rows::packed(&corpus, 0), Rows::packed(&corpus, u32::MAX as usize)] {
        assert!(matches!(rows, Err(Error::Setting { name: "context", .. })));
    }
}
