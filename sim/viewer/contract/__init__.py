"""What the window is given and gives: a show, its moments, a person's gestures."""
