"""What slsmysql relies on in the driver: for its oldest and its newest release."""
