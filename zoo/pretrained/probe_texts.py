"""Texts on which a converted published model is compared with the Keras model: no data is known."""

PROBE_TEXTS = (
    "A charming film.",
    "The train to the coast leaves at half past seven, and the last one back is at ten.",
    "No.",
    "How do I reset the password of my account?",
    "She sold the house, bought a boat with the money and has not been seen in town since.",
    "Water boils at 100 °C at sea level, at about 93 °C at 2,000 m.",
    "I would not recommend it to anyone: the food was cold, the waiter rude, the bill wrong.",
    "def add(a, b): return a + b",
    "Der Zug hat wegen eines Unwetters ungefähr zwanzig Minuten Verspätung.",
    "¿Dónde está la biblioteca?",
    "Ce n'est pas la mer à boire, mais il faudra s'y mettre dès demain matin.",
    "Москва — столица России.",
    "今日は天気がいいですね。",
    "The committee, which had met three times without result, agreed on Thursday to postpone the "
    "decision until the figures of the last quarter are known and both sides have read them.",
    "Book a table for four at eight tonight",
    "2024-05-17, order 4711: 3 x 19.99 EUR",
)
