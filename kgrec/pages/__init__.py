"""Pages that need nothing else: templates, numbers as people read them, and the frame of pictures.

The templates in `templates/` hold all HTML of kgrec and are filled by `kgrec.pages.render`, which
escapes whatever it is given. Rooms above pass plain values (a card, a report) and get a string.
"""
