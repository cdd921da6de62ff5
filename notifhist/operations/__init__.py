"""What operators need beside the service itself: is everything sound, and a backup."""
