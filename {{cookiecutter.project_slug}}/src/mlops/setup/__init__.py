"""What a project needs outside its folder, on GitHub and in AWS: made, examined, removed."""
