"""From videos and photographs to aligned crops of faces. Free of torch and pandas."""
