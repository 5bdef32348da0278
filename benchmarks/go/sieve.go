package main

func sift(prime int, inlet, outlet chan int) {
	for number := <-inlet; number != 0; number = <-inlet {
		if number%prime != 0 {
			outlet <- number
		}
	}
	outlet <- 0
}

// A filter for each prime; how many there are and the last one.
func sieve(numbers []int) (int, int) {
	outlet := make(chan int)
	go func(outlet chan int) {
		for number := 2; number < numbers[0]; number++ {
			outlet <- number
		}
		outlet <- 0
	}(outlet)
	last, count := 0, 0
	for prime := <-outlet; prime != 0; prime = <-outlet {
		last, count = prime, count+1
		inlet := outlet
		outlet = make(chan int)
		go sift(prime, inlet, outlet)
	}
	return 1, count*1_000_000 + last
}
