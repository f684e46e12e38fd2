//! `bank-sim cards`: the tables that a person needs to provoke any answer.

use std::io::{self, Write};

use bank_sim::test_cards::{CardBehaviour, PROVOKING_AMOUNTS, TEST_CARDS};

/// Prints the test cards and the amounts.
pub(crate) fn print(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Test cards (expiry 12/2030; PIN 1234)\n")?;
    writeln!(
        out,
        "{:<18}{:<13}{:<7}{:<7}what happens",
        "card", "issuer", "CVV2", "DE 39"
    )?;
    for card in TEST_CARDS {
        writeln!(
            out,
            "{:<18}{:<13}{:<7}{:<7}{}",
            card.pan,
            card.issuer,
            card.cvv2,
            card.response_code
                .map_or_else(|| "-".to_owned(), |code| code.to_string()),
            meaning(card.behaviour)
        )?;
    }
    writeln!(
        out,
        "\nAmounts whose last three minor digits choose DE 39 on a card that approves\n"
    )?;
    writeln!(out, "{:<9}{:<7}meaning", "digits", "DE 39")?;
    for row in PROVOKING_AMOUNTS {
        writeln!(
            out,
            "{:<9}{:<7}{}",
            row.last_three_digits, row.response_code, row.meaning
        )?;
    }
    Ok(())
}

fn meaning(behaviour: CardBehaviour) -> &'static str {
    match behaviour {
        CardBehaviour::Approve => "approved",
        CardBehaviour::InsufficientFunds => "not sufficient funds",
        CardBehaviour::Expired => "expired in 12/2020",
        CardBehaviour::Lost => "lost",
        CardBehaviour::Stolen => "stolen",
        CardBehaviour::Blocked => "blocked by its issuer",
        CardBehaviour::WrongCvv => "every CVV2 is wrong; approved without one",
        CardBehaviour::OverLimit => "approved up to 100.00, above it 61",
        CardBehaviour::ApprovesPart => "approved up to 500.00, above it that part with 10",
        CardBehaviour::AnswerLate => "approved and held, answered after 6 s",
        CardBehaviour::NoAnswer => "approved and held, never answered",
        CardBehaviour::IssuerDown => "its issuer cannot be reached",
    }
}
