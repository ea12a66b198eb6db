"""What runs in AWS by itself: functions that events, alarms and schedules start."""
