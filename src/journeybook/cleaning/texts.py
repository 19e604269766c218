"""What customers wrote, by a published lexicon; the words themselves end on page 02."""

import ibis
import pandas as pd


def with_tone(events: ibis.Table) -> ibis.Table:
    """Return events with `text_tone` in place of `text`, where there is one; a text without a letter has no tone.

    The tone is VADER's compound score, -1 (bad) to 1 (good), of English (Hutto & Gilbert 2014).
    """
    if "text" not in events.columns:
        return events
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    lexicon = SentimentIntensityAnalyzer()
    said = events.filter(events.text.re_search(r"\p{L}")).text.as_table().distinct().to_pandas().text
    tones = pd.DataFrame({"said": said, "text_tone": [lexicon.polarity_scores(t)["compound"] for t in said]})
    told = ibis.memtable(tones, schema={"said": "string", "text_tone": "float64"})
    return events.left_join(told, events.text == told.said).drop("text", "said")
