//! DE 43, card acceptor name and location: 40 characters in the layout that the host reads.

use crate::payment::merchant::Merchant;

/// The length of DE 43, in characters.
pub const NAME_LOCATION: usize = 40;

/// How the country stands in DE 43.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountryForm {
    /// ISO 3166-1 alpha-2: two letters.
    #[serde(rename = "alpha-2")]
    Alpha2,
    /// ISO 3166-1 numeric: three digits.
    Numeric,
}

impl CountryForm {
    /// Its width, in characters.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Alpha2 => 2,
            Self::Numeric => 3,
        }
    }
}

/// The layout of DE 43: name, city, state and country, in this order, 40 characters together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameLocationLayout {
    /// Characters of the name.
    pub name: usize,
    /// Characters of the city.
    pub city: usize,
    /// Characters of the state, which stay blank: merchants have none.
    pub state: usize,
    /// How the country stands.
    pub country: CountryForm,
}

impl Default for NameLocationLayout {
    /// Name 1-25, city 26-38, country 39-40.
    fn default() -> Self {
        Self {
            name: 25,
            city: 13,
            state: 0,
            country: CountryForm::Alpha2,
        }
    }
}

impl NameLocationLayout {
    /// The width of all parts together.
    #[must_use]
    pub fn width(&self) -> usize {
        self.name + self.city + self.state + self.country.width()
    }

    /// DE 43 of a merchant. A text that is too long is cut, and a character that no host could read becomes
    /// a question mark.
    pub(in crate::hosts) fn write(&self, merchant: &Merchant) -> [u8; NAME_LOCATION] {
        let mut field = [b' '; NAME_LOCATION];
        let mut rest = field.as_mut_slice();
        let mut put = |width: usize, text: &mut dyn Iterator<Item = char>| {
            let taken = std::mem::take(&mut rest);
            let (part, after) = taken.split_at_mut(width.min(taken.len()));
            rest = after;
            for (place, character) in part.iter_mut().zip(text) {
                let readable = u8::try_from(character)
                    .ok()
                    .filter(|byte| (b' '..=b'~').contains(byte));
                *place = readable.unwrap_or(b'?');
            }
        };
        put(self.name, &mut merchant.name.chars());
        put(self.city, &mut merchant.city.chars());
        put(self.state, &mut std::iter::empty());
        let numeric = merchant.country_numeric;
        let digits = [numeric / 100 % 10, numeric / 10 % 10, numeric % 10]
            .map(|digit| char::from_digit(digit.into(), 10).unwrap_or('0'));
        match self.country {
            CountryForm::Alpha2 => put(2, &mut merchant.country.chars()),
            CountryForm::Numeric => put(3, &mut digits.into_iter()),
        }
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::tests::known;

    #[test]
    fn names_that_no_host_could_read_are_cut_and_replaced() {
        let mut merchant = known::merchant();
        merchant.name = "Müller & Söhne Bäckerei GmbH".into();
        merchant.city = "Neustadt am Rübenberge".into();
        let nps = NameLocationLayout {
            name: 22,
            city: 13,
            state: 2,
            country: CountryForm::Numeric,
        };
        assert_eq!(nps.width(), NAME_LOCATION);
        for (layout, expected) in [
            (
                NameLocationLayout::default(),
                "M?ller & S?hne B?ckerei GNeustadt am RDE",
            ),
            (nps, "M?ller & S?hne B?ckereNeustadt am R  276"),
        ] {
            let field = layout.write(&merchant);
            assert_eq!(std::str::from_utf8(&field).unwrap(), expected);
        }
    }
}
