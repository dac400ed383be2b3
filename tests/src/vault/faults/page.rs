//! Pages of lists that are not what is there. Stale ones are made where items are read; the others, here.

use super::dice::Dice;
use super::fault::PageFault;
use crate::vault::pages::Page;

/// What is wrong with one page.
pub(in crate::vault) struct PageTrouble {
    fault: PageFault,
    dice: Dice,
}

impl PageTrouble {
    pub(super) fn new(fault: PageFault, dice: Dice) -> Self {
        Self { fault, dice }
    }

    /// Whether items are to be read as they were.
    pub(in crate::vault) fn is_stale(&self) -> bool {
        self.fault == PageFault::Stale
    }

    /// Makes a page of what is there a wrong one.
    pub(in crate::vault) fn spoil(&self, page: &mut Page) {
        match &self.fault {
            PageFault::Torn { share } => tear(page, *share, &mut self.dice.clone()),
            PageFault::Cut => page.next = None,
            PageFault::Stale => {}
            PageFault::RepeatNextLink => page.next = Some(page.here.clone()),
            PageFault::ForeignNextLink { origin } => page.next = Some(page.next_at(origin)),
        }
    }
}

fn tear(page: &mut Page, share: f64, dice: &mut Dice) {
    let items = page.values.len();
    page.values.retain(|_| !dice.hits(share));
    if page.values.len() == items && items > 0 {
        let unlucky = dice.between(0, u64::try_from(items - 1).unwrap_or_default());
        page.values.remove(usize::try_from(unlucky).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn page(items: usize) -> Page {
        Page {
            values: (0..items).map(|number| json!(number)).collect(),
            next: Some("https://localhost:9443/secrets?$skiptoken=b".into()),
            here: "https://localhost:9443/secrets?$skiptoken=a".into(),
        }
    }

    fn spoilt(fault: PageFault, items: usize) -> Page {
        let mut page = page(items);
        PageTrouble::new(fault, Dice::new(5)).spoil(&mut page);
        page
    }

    #[test]
    fn a_torn_page_lacks_the_same_items_each_time_and_one_at_least() {
        let half = || spoilt(PageFault::Torn { share: 0.5 }, 25).values;
        assert!((5..20).contains(&half().len()));
        assert_eq!(half(), half());
        let hardly = spoilt(PageFault::Torn { share: f64::MIN_POSITIVE }, 25);
        assert_eq!(hardly.values.len(), 24);
        assert_eq!(spoilt(PageFault::Torn { share: 1.0 }, 25).values, Vec::<Value>::new());
        assert!(spoilt(PageFault::Torn { share: 0.5 }, 0).values.is_empty());
    }

    #[test]
    fn links_end_repeat_or_lead_elsewhere() {
        for (fault, next) in [
            (PageFault::Cut, None),
            (PageFault::RepeatNextLink, Some("https://localhost:9443/secrets?$skiptoken=a")),
            (
                PageFault::ForeignNextLink { origin: "https://elsewhere.example:443".into() },
                Some("https://elsewhere.example:443/secrets?$skiptoken=b"),
            ),
            (PageFault::Stale, Some("https://localhost:9443/secrets?$skiptoken=b")),
        ] {
            assert_eq!(spoilt(fault.clone(), 1).next.as_deref(), next, "{fault:?}");
        }
    }
}
